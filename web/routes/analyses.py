"""`/analyses/{token}`: how it is with an analysis, and what it found, for who knows the token.

`GET /streams/{stream}/pictures/{seq}`: what a caption speaks of, as long as it is kept.
"""

from aiohttp import web

from stream.analyses import Analysis, AnalysisGone
from stream.captioning import FrameGone
from stream.webrtc import SessionGone
from web.errors import error
from web.keys import SESSIONS, SURROUNDINGS
from web.security import admin_only

_HEADERS = {"Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin"}
_REPORT_POLICY = "; ".join(
    [
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
        "sandbox",
    ]
)
"""A report is made of words and pictures: it runs nothing, loads nothing, and no other site's page
may show it. In the sandbox its origin is its own."""

_FILE_HEADERS = {
    "report.html": {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": _REPORT_POLICY,
        # A page with an opener policy of its own may not be opened in a sandbox (HTML standard,
        # "navigate": a response with both is a network error).
        "Cross-Origin-Opener-Policy": "unsafe-none",
    },
    "report.json": {"Content-Type": "application/json; charset=utf-8"},
}


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of analyses, their files, and the frames of captions."""
    path = r"/analyses/{token:[\w-]{1,64}}"
    return [
        web.get(path, _tell),
        web.delete(path, _cancel),
        web.get(path + r"/{name:report\.(?:html|json)}", _file),
        web.get(r"/streams/{stream}/pictures/{seq:\d{1,16}}", _picture),
    ]


@admin_only
async def _tell(request: web.Request) -> web.Response:
    try:
        analysis = _find(request)
    except AnalysisGone as problem:
        return error(404, "gone", str(problem), _HEADERS)
    return web.json_response(analysis.to_json(), headers=_HEADERS)


@admin_only
async def _cancel(request: web.Request) -> web.Response:
    try:
        request.app[SURROUNDINGS].analyses.cancel(_find(request))
    except AnalysisGone as problem:
        return error(404, "gone", str(problem), _HEADERS)
    return web.Response(status=204, headers=_HEADERS)


@admin_only
async def _file(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    try:
        analysis = _find(request)
    except AnalysisGone as problem:
        return error(404, "gone", str(problem), _HEADERS)
    if name not in analysis.files:
        told = f"there is no {name}: the analysis is {analysis.state.value}"
        return error(404, "not-found", told, _HEADERS)
    return web.Response(body=analysis.files[name], headers={**_HEADERS, **_FILE_HEADERS[name]})


def _find(request: web.Request) -> Analysis:
    return request.app[SURROUNDINGS].analyses.find(request.match_info["token"])


async def _picture(request: web.Request) -> web.Response:
    stream, seq = request.match_info["stream"], int(request.match_info["seq"])
    try:
        picture = await request.app[SESSIONS].picture(stream, seq)
    except (FrameGone, SessionGone) as problem:
        return error(404, "gone", str(problem), _HEADERS)
    return web.Response(body=picture, content_type="image/jpeg", headers=_HEADERS)
