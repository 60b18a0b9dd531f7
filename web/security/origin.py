"""Which hosts may be asked for, and which pages may ask."""

from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from stream.settings import is_address, is_loopback
from web.errors import error
from web.security.access import ACCESS, CHALLENGE
from web.security.exposure import machine_names
from web.settings import ServerSettings

_FOREIGN = web.RequestKey("foreign", bool)


_CORS_PATHS = ("/whip/", "/whep/")


_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Patch, ETag, Link, Location, Retry-After",
}


_PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Max-Age": "3600",
}


class Hosts:
    """The names under which the server answers.

    A page of a name that was made to point here has an origin that matches its host (DNS
    rebinding), so that names have to be known. An address cannot be made to point elsewhere.
    """

    def __init__(self, settings: ServerSettings) -> None:
        """Answer by the settings; looks up the machine's names."""
        self.configure(settings)

    def configure(self, settings: ServerSettings) -> None:
        """Answer by other settings from now on."""
        self._names = {"localhost", *settings.access.hosts}
        self._only_loopback = is_loopback(settings.host)
        if not self._only_loopback:
            self._names |= machine_names()

    def know(self, host: str) -> bool:
        """Whether the server answers under what a request's Host says."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        return name in self._names or (
            is_loopback(name) if self._only_loopback else is_address(name) or is_loopback(name)
        )


HOSTS = web.AppKey("hosts", Hosts)


@web.middleware
async def origin_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse hosts that are not this server's, and what pages of other sites ask for.

    Browsers name the asking page's origin (RFC 6454) with all that changes something, and say
    whether a request comes from another site (W3C Fetch Metadata). The doors that standards
    define for programs are open to other sites' pages that show a token, and to no cookie.
    """
    if not request.app[HOSTS].know(request.host):
        told = f"{request.host} is no name of this server; name it in [access] hosts"
        return error(403, "bad-host", told)
    origin = request.headers.get("Origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.host
    if foreign and request.path.startswith(_CORS_PATHS) and request.app[ACCESS].tokens:
        return await _from_elsewhere(request, handler)
    if foreign:
        return error(403, "bad-origin", f"pages of {origin} may not use this server")
    if _embedded_elsewhere(request):
        return error(403, "bad-origin", "pages of other sites may not use this server")
    return await handler(request)


async def cors_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Let a page of another site read the answer, where such a page may ask."""
    if request.get(_FOREIGN):
        response.headers.extend(_CORS)


async def _from_elsewhere(request: web.Request, handler: Handler) -> web.StreamResponse:
    request[_FOREIGN] = True
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        return web.Response(status=204, headers=_PREFLIGHT)
    if "Authorization" not in request.headers:
        return error(401, "no-token", "pages of other sites show a token", CHALLENGE)
    return await handler(request)


def _embedded_elsewhere(request: web.Request) -> bool:
    """Whether a page of another site uses this as its picture, script or the like."""
    other = request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    return other and request.headers.get("Sec-Fetch-Mode") != "navigate"
