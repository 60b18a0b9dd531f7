"""Who may ask: a page of this server's own, or a program that is no browser."""

import ipaddress
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from web.errors import error
from web.keys import HOST


@web.middleware
async def origin_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse another site's requests, and names that only claim to be the loopback.

    Browsers name the asking page's origin with each POST. A page of a name that was rebound to
    the loopback address has a matching origin, so that on the loopback the host is checked too.
    """
    if _is_loopback(request.app[HOST]) and not _is_loopback(_hostname(request.host)):
        return error(403, "bad-host", "this server answers to localhost only")
    origin = request.headers.get("Origin")
    writes = request.method not in ("GET", "HEAD")
    if writes and origin is not None and urlsplit(origin).netloc != request.host:
        return error(403, "bad-origin", f"pages of {origin} may not use this server")
    return await handler(request)


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
