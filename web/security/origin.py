"""Host and origin checks: against DNS rebinding, and against requests by pages of other sites."""

from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from stream.settings import is_ip_address, is_loopback
from web.errors import error_response
from web.security.access import ACCESS, CHALLENGE
from web.security.exposure import machine_names
from web.settings import ServerSettings

_CROSS_ORIGIN = web.RequestKey("cross origin", bool)
_CORS_PATHS = ("/whip/", "/whep/")
_CORS_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Patch, ETag, Link, Location, Retry-After",
}
_PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": "POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Max-Age": "3600",
}


class AllowedHosts:
    """The host names under which the server answers.

    A page whose own name was made to resolve to this server has an origin that matches its Host
    header (DNS rebinding), so names must be known. An IP address cannot be rebound.
    """

    def __init__(self, settings: ServerSettings) -> None:
        """Look up the names of this machine, and add the configured ones."""
        self.configure(settings)

    def configure(self, settings: ServerSettings) -> None:
        """Apply new settings."""
        self._names = {"localhost", *settings.access.hosts}
        self._only_loopback = is_loopback(settings.host)
        if not self._only_loopback:
            self._names |= machine_names()

    def allows(self, host: str) -> bool:
        """Whether the server answers requests with this Host header."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        return name in self._names or (
            is_loopback(name) if self._only_loopback else is_ip_address(name) or is_loopback(name)
        )


ALLOWED_HOSTS = web.AppKey("allowed hosts", AllowedHosts)


@web.middleware
async def origin_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Reject unknown hosts, and requests by pages of other sites.

    Browsers send the page's origin (RFC 6454) with every request that changes something, and
    whether a request comes from another site (W3C Fetch Metadata). WHIP and WHEP accept pages of
    other sites, but only with a token, never with a cookie.
    """
    if not request.app[ALLOWED_HOSTS].allows(request.host):
        message = f"{request.host} is not a name of this server; add it to hosts in [access]"
        return error_response(403, "bad-host", message)
    origin = request.headers.get("Origin")
    cross_origin = origin is not None and urlsplit(origin).netloc != request.host
    if cross_origin and request.path.startswith(_CORS_PATHS) and request.app[ACCESS].has_tokens:
        return await _handle_cross_origin(request, handler)
    if cross_origin:
        return error_response(403, "bad-origin", f"pages of {origin} cannot use this server")
    if _is_cross_site_embed(request):
        return error_response(403, "bad-origin", "pages of other sites cannot use this server")
    return await handler(request)


async def add_cors_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Let a page of another site read the response, if `origin_middleware` accepted its request."""
    if request.get(_CROSS_ORIGIN):
        response.headers.extend(_CORS_HEADERS)


async def _handle_cross_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    request[_CROSS_ORIGIN] = True
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        return web.Response(status=204, headers=_PREFLIGHT_HEADERS)
    if "Authorization" not in request.headers:
        message = "pages of other sites need a token; send Authorization: Bearer TOKEN"
        return error_response(401, "no-token", message, CHALLENGE)
    return await handler(request)


def _is_cross_site_embed(request: web.Request) -> bool:
    """Whether a page of another site loads this as an image, a script or a similar resource."""
    other_site = request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    return other_site and request.headers.get("Sec-Fetch-Mode") != "navigate"
