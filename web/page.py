"""The HTML pages, their assets, and the security headers of every response."""

import asyncio
import hashlib
import io
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.helpers import ETag
from aiohttp.typedefs import Handler
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from web.cluster import peer_origins
from web.errors import ERROR, accepts_html, error_response
from web.keys import SETTINGS
from web.security import ALLOWED_HOSTS, public
from web.translations import (
    ENGLISH,
    LANGUAGE_PARAMETER,
    LANGUAGES,
    catalogue,
    negotiated_language,
)

STATIC = Path(__file__).resolve().parent / "static"
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "media-src 'self' blob: mediastream:",
        "connect-src 'self'{peers}",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors ",
    ]
)
_VIEWS = {"wall": "wall.html.jinja", "history": "history.html.jinja", "rules": "rules.html.jinja"}
"""Pages that `/` serves when its query starts with this parameter."""
_EMBEDDABLE_VIEW = "wall"
_FOR_PROGRAMS = ("/api/", "/v1/")
"""Paths below these have JSON errors whatever the client accepts."""
_HEADERS = {
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_ASSET_HEADERS = {".webp": {"Content-Type": "image/webp"}}
"""By file extension. Python up to 3.12 does not know the type of WebP."""
_HSTS = "max-age=2592000"
"""Only with a configured certificate. The self-signed one may be replaced, and users then have to
accept it again, which HSTS does not allow (RFC 6797, section 12.1)."""


def page_routes() -> list[web.AbstractRouteDef]:
    """Return the routes of `/`, which serves one of several pages, and of `/static/`."""
    return [web.get("/", _index), web.get("/static/{path:.*}", _static)]


def render(template: str, root: str = "", language: str = ENGLISH, **values: Any) -> str:
    """Render a page.

    Args:
        template: Its name in `web/templates`.
        root: The relative URL of the server's root; a reverse proxy may add a prefix to paths.
        language: One of `LANGUAGES`.
        values: Of the template's variables.
    """
    return _environment(language).get_template(template).render({"root": root, "view": ""} | values)


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    translations = catalogue(language)
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # added by the extension
        translations.gettext, translations.ngettext, pgettext=translations.pgettext
    )
    environment.globals.update(
        language=language, languages=LANGUAGES, messages=translations.script_messages
    )
    environment.filters["inline_code"] = _inline_code
    return environment


async def page_response(
    request: web.Request, template: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Build the response with a page in the language of a request, or 304 if the client has it.

    Args:
        request: The request for it.
        template: Its name in `web/templates`; it has no variables.
        headers: Of the response.
    """
    language = negotiated_language(request)
    # In a thread: reading a catalogue takes a tenth of a second, once.
    body, etag = await asyncio.to_thread(_rendered, template, language)
    known = request.if_none_match or ()
    response = (
        web.Response(status=304, headers=headers)
        if any(each.value in (etag.value, "*") for each in known)
        else web.Response(body=body, headers=headers, content_type="text/html", charset="utf-8")
    )
    response.etag = etag
    _add_language_headers(response, language)
    return response


@lru_cache(maxsize=32)
def _rendered(template: str, language: str) -> tuple[bytes, ETag]:
    body = render(template, language=language).encode()
    return body, ETag(hashlib.sha256(body).hexdigest()[:32])


def _add_language_headers(response: web.Response, language: str) -> None:
    response.headers["Content-Language"] = language
    response.headers["Vary"] = "Accept-Language, Cookie"


def _inline_code(text: str) -> Markup:
    """Escape a text, and mark the parts between backticks as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part)
        for index, part in enumerate(parts)
    )


@web.middleware
async def not_found_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Show a page to a browser that opens a URL without one; programs get the JSON error."""
    response = await handler(request)
    error = response.get(ERROR)
    if (
        error is None
        or response.status != 404
        or not isinstance(response, web.Response)
        or not accepts_html(request)
        or f"{request.path}/".startswith(_FOR_PROGRAMS)
    ):
        return response
    root = "../" * (request.rel_url.raw_path.count("/") - 1)
    reason = "" if error.code == "not-found" else error.message
    language = negotiated_language(request)
    response.text = render("not_found.html.jinja", root, language, reason=reason)
    response.content_type = "text/html"
    _add_language_headers(response, language)
    return response


async def security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the security headers that the response does not set itself."""
    response.headers.setdefault("Content-Security-Policy", _policy(request, "'none'"))
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    # aiohttp has set it to the versions of itself and of Python.
    response.headers["Server"] = "Sightline"
    if request.secure and request.app[SETTINGS].https.certificate:
        response.headers["Strict-Transport-Security"] = _HSTS


async def _index(request: web.Request) -> web.Response:
    view = next((key for key in request.query if key != LANGUAGE_PARAMETER), "")
    headers = embedding_headers(request) if view == _EMBEDDABLE_VIEW else None
    return await page_response(request, _VIEWS.get(view, "index.html.jinja"), headers)


@public
async def _static(request: web.Request) -> web.StreamResponse:
    try:
        path = (STATIC / request.match_info["path"]).resolve()
    except ValueError:
        # A null byte.
        path = STATIC
    if not path.is_relative_to(STATIC) or not path.is_file():
        return error_response(404, "not-found", "Not Found")
    return _StaticFile(path, headers=_ASSET_HEADERS.get(path.suffix))


class _StaticFile(web.FileResponse):
    """A small file, which the thread that opens it also reads and closes.

    aiohttp loses a file that is opened while its request is cancelled, as when the server stops.
    """

    def _make_response(self, *arguments: Any) -> Any:
        result, file, *details = super()._make_response(*arguments)
        if file:
            with file:
                file = io.BufferedReader(io.BytesIO(file.read()))
        return result, file, *details


def embedding_headers(request: web.Request) -> dict[str, str]:
    """Return the headers of a page that the sites in `[access] embedders` may show in a frame."""
    embedders = request.app[ALLOWED_HOSTS].embedders
    if not embedders:
        return {}
    return {"Content-Security-Policy": _policy(request, f"'self' {' '.join(embedders)}")}


def _policy(request: web.Request, ancestors: str) -> str:
    """Return the content security policy.

    Args:
        request: The request.
        ancestors: Pages that may show this one in a frame.
    """
    peers = "".join(f" {origin}" for origin in peer_origins(request.app))
    return f"{_POLICY.format(peers=peers)}{ancestors}"
