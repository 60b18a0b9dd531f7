"""The HTML pages, their assets, and the security headers of every response."""

from pathlib import Path

from aiohttp import web

from web.keys import SETTINGS
from web.security import ALLOWED_HOSTS

STATIC = Path(__file__).parent / "static"
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "media-src 'self' blob: mediastream:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors ",
    ]
)
_VIEWS = {"wall": "wall.html", "history": "history.html"}
"""Pages that `/` serves when its query starts with this parameter."""
_EMBEDDABLE_VIEW = "wall"
_HEADERS = {
    "Content-Security-Policy": f"{_POLICY}'none'",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_HSTS = "max-age=2592000"
"""Only with a configured certificate. The self-signed one may be replaced, and users then have to
accept it again, which HSTS does not allow (RFC 6797, section 12.1)."""


def page_routes() -> list[web.AbstractRouteDef]:
    """Return the routes of `/`, which serves one of several pages, and of `/static/`."""
    return [web.get("/", _index), web.static("/static", STATIC)]


async def security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the security headers that the response does not set itself."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    # aiohttp has set it to the versions of itself and of Python.
    response.headers["Server"] = "Sightline"
    if request.secure and request.app[SETTINGS].https.certificate:
        response.headers["Strict-Transport-Security"] = _HSTS


async def _index(request: web.Request) -> web.FileResponse:
    view = next(iter(request.query), "")
    headers = embedding_headers(request) if view == _EMBEDDABLE_VIEW else None
    return web.FileResponse(STATIC / _VIEWS.get(view, "index.html"), headers=headers)


def embedding_headers(request: web.Request) -> dict[str, str]:
    """Return the headers of a page that the sites in `[access] embedders` may show in a frame."""
    embedders = request.app[ALLOWED_HOSTS].embedders
    if not embedders:
        return {}
    return {"Content-Security-Policy": f"{_POLICY}'self' {' '.join(embedders)}"}
