"""Host and origin checks: against DNS rebinding, and against requests by pages of other sites."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from stream.settings import is_ip_address, is_loopback
from web.errors import error_response
from web.security.access import ACCESS, CROSS_ORIGIN
from web.security.exposure import machine_names
from web.security.limits import LIMITS
from web.security.public_url import PUBLIC_URL, PublicUrl, find_public_url, split_origin
from web.security.ticket import TICKET_PARAMETER
from web.settings import ServerSettings

AnyHandler = TypeVar("AnyHandler", bound=Callable[..., Awaitable[web.StreamResponse]])

_CORS_PATHS = ("/whip/", "/whep/")
_OFFER_PATH = "/offer"
_CORS_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Patch, ETag, Link, Location, Retry-After",
}
_PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": "POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Max-Age": "3600",
}
_MAX_SHOWN = 100
"""Characters of a header that an error message repeats."""

_embeddable: set[object] = set()


def embeddable(handler: AnyHandler) -> AnyHandler:
    """Let pages of the sites in `[access] embedders` load a handler's response, as an image."""
    _embeddable.add(handler)
    return handler


class AllowedHosts:
    """The host names under which the server answers, and the sites that may embed it.

    A page whose own name was made to resolve to this server has an origin that matches its Host
    header (DNS rebinding), so names must be known. An IP address cannot be rebound.
    """

    embedders: tuple[str, ...]
    """Origins of the sites that may embed the wall and pictures."""

    def __init__(self, settings: ServerSettings) -> None:
        """Look up the names of this machine, and add the configured ones."""
        self.configure(settings)

    def configure(self, settings: ServerSettings) -> None:
        """Apply new settings."""
        self.embedders = settings.access.embedders
        self._embedders = {split_origin(origin) for origin in self.embedders}
        self._names = {"localhost", *settings.access.hosts}
        if own := split_origin(settings.cluster.url):
            self._names.add(own[1])
        self._only_loopback = is_loopback(settings.host)
        if not self._only_loopback:
            self._names |= machine_names()

    def allows(self, name: str) -> bool:
        """Whether the server answers under a host name, which is in lower case."""
        return name in self._names or (
            is_loopback(name) if self._only_loopback else is_ip_address(name) or is_loopback(name)
        )

    def allows_embedding(self, request: web.Request) -> bool:
        """Whether a page of a site that may embed pictures sent the request, by its Referer.

        Browsers send no Origin with images. A page can leave out its Referer, but not forge it.
        """
        parts = split_origin(request.headers.get("Referer", ""))
        return parts is not None and parts in self._embedders


ALLOWED_HOSTS = web.AppKey("allowed hosts", AllowedHosts)


@web.middleware
async def origin_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Set `request[PUBLIC_URL]`; reject unknown hosts, and requests by pages of other sites.

    Browsers send the page's origin (RFC 6454) with every request that changes something, and
    whether a request comes from another site (W3C Fetch Metadata). WHIP and WHEP accept pages of
    other sites, but only with a valid token, never with a cookie.
    """
    if len(request.headers.getall("Host", [])) != 1:
        return error_response(400, "bad-host", "the request must have one Host header")
    url = find_public_url(request, request.app[LIMITS].settings.proxies)
    request[PUBLIC_URL] = url
    if not request.app[ALLOWED_HOSTS].allows(url.host_name):
        message = f"{_shown(url.host)} is not a name of this server; add it to hosts in [access]"
        return error_response(403, "bad-host", message)
    origin = request.headers.get("Origin")
    if origin is not None and not _is_own_origin(request, url, origin):
        return await _handle_cross_origin(request, handler, origin)
    if _is_cross_site_load(request) and not _is_embedded(request):
        message = "pages of other sites cannot use this server"
        if request.match_info.handler in _embeddable:
            message += "; to show its pictures in a page, add the page's origin to embedders in "
            message += "[access], and let the page send its Referer"
        return error_response(403, "bad-origin", message)
    return await handler(request)


async def add_cross_origin_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Let pages of other sites read WHIP and WHEP responses, refusals too, and load pictures.

    Browsers do not combine `*` with cookies, so a page reads only what it has a token for.
    """
    if "Origin" in request.headers and _allows_cross_origin(request):
        response.headers.extend(_CORS_HEADERS)
    if _is_embedded(request):
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"


def _allows_cross_origin(request: web.Request) -> bool:
    """Whether pages of other sites may send a request: by WHIP and WHEP, or with a ticket.

    The page of another server of the cluster, which has sent it here, posts its offer with one.
    """
    is_offer = request.path == _OFFER_PATH and TICKET_PARAMETER in request.query
    return is_offer or request.path.startswith(_CORS_PATHS)


def _is_own_origin(request: web.Request, url: PublicUrl, origin: str) -> bool:
    if url.has_origin(origin):
        return True
    # Behind a proxy that changes Host and sends no X-Forwarded-Host, the browser still says that
    # page and server have the same origin; the name is checked against DNS rebinding.
    parts = split_origin(origin)
    return (
        request.headers.get("Sec-Fetch-Site") == "same-origin"
        and parts is not None
        and request.app[ALLOWED_HOSTS].allows(parts[1])
    )


async def _handle_cross_origin(
    request: web.Request, handler: Handler, origin: str
) -> web.StreamResponse:
    if not _allows_cross_origin(request):
        message = (
            f"pages of {_shown(origin)} cannot use this server, whose address is "
            f"{_shown(request[PUBLIC_URL].host)}; if a reverse proxy changes the address, name the "
            "proxy in [limits] proxies and let it send X-Forwarded-Host and X-Forwarded-Proto"
        )
        return error_response(403, "bad-origin", message)
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        return web.Response(status=204, headers=_PREFLIGHT_HEADERS)
    if not request.app[ACCESS].has_tokens and TICKET_PARAMETER not in request.query:
        message = (
            "pages of other sites need a token, and this server has none; set admin_token or "
            "viewer_token in [access]"
        )
        return error_response(403, "bad-origin", message)
    request[CROSS_ORIGIN] = True
    return await handler(request)


def _is_cross_site_load(request: web.Request) -> bool:
    """Whether a page of another site loads this as an image, a script or a similar resource."""
    other_site = request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    return other_site and request.headers.get("Sec-Fetch-Mode") != "navigate"


def _is_embedded(request: web.Request) -> bool:
    handler: Any = request.match_info.handler
    return handler in _embeddable and request.app[ALLOWED_HOSTS].allows_embedding(request)


def _shown(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
