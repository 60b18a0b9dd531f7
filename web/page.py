"""The page and its assets, and what a browser may do with them."""

from pathlib import Path

from aiohttp import web

from web.keys import SETTINGS

STATIC = Path(__file__).parent / "static"
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "media-src 'self' blob: mediastream:",
        "connect-src 'self'",
        "frame-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
_VIEWS = {"wall": "wall.html", "history": "past.html"}
"""Pages that `/` is when its query begins with this word."""
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Server": "Sightline",
}
_HSTS = "max-age=2592000"
"""Only with a certificate that browsers trust: one made here may be made anew, and must then be
compared anew, which RFC 6797 (12.1) would not let anyone do."""


def page_routes() -> list[web.AbstractRouteDef]:
    """`/`, which is one of several pages, and everything under `/static/`."""
    return [web.get("/", _index), web.static("/static", STATIC)]


async def security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add to every response what a browser is to hold to, but where it says otherwise itself."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if request.secure and request.app[SETTINGS].https.certificate:
        response.headers["Strict-Transport-Security"] = _HSTS


async def _index(request: web.Request) -> web.FileResponse:
    view = next(iter(request.query), "")
    return web.FileResponse(STATIC / _VIEWS.get(view, "index.html"))
