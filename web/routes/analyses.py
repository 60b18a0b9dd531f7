"""`/analyses/{token}`: the state and the report of an analysis, for clients that have its token.

`GET /streams/{stream}/pictures/{seq}` returns the frame of a caption while it is kept.
"""

from pathlib import PurePosixPath

from aiohttp import web

from stream.analyses import AnalysisFileNotFound, AnalysisNotFound
from stream.captioning import FrameNotFound
from stream.webrtc import SessionGone
from web.errors import error_response
from web.keys import MEDIA
from web.security import admin_only

_HEADERS = {"Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin"}
_REPORT_POLICY = "; ".join(
    [
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "sandbox",
    ]
)
"""A report consists of text and images: it runs no script, loads nothing, and cannot be framed.
The sandbox gives it an origin of its own."""

_HEADERS_BY_SUFFIX = {
    ".html": {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": _REPORT_POLICY,
        # A sandboxed page must not have an opener policy of its own (HTML standard, "navigate": a
        # response with both is a network error).
        "Cross-Origin-Opener-Policy": "unsafe-none",
    },
    ".json": {"Content-Type": "application/json; charset=utf-8"},
    ".webp": {"Content-Type": "image/webp"},
}


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of analyses, their files, and the frames of captions."""
    path = r"/analyses/{token:[\w-]{1,64}}"
    return [
        web.get(path, _get_analysis),
        web.delete(path, _cancel_analysis),
        web.get(path + r"/{name:report\.(?:html|json)|concept-[\w'-]{1,64}\.webp}", _get_file),
        web.get(r"/streams/{stream}/pictures/{seq:\d{1,16}}", _get_frame),
    ]


@admin_only
async def _get_analysis(request: web.Request) -> web.Response:
    try:
        analysis = await request.app[MEDIA].analyses.describe(request.match_info["token"])
    except AnalysisNotFound as error:
        return error_response(404, "gone", str(error), _HEADERS)
    return web.json_response(analysis, headers=_HEADERS)


@admin_only
async def _cancel_analysis(request: web.Request) -> web.Response:
    try:
        await request.app[MEDIA].analyses.discard(request.match_info["token"])
    except AnalysisNotFound as error:
        return error_response(404, "gone", str(error), _HEADERS)
    return web.Response(status=204, headers=_HEADERS)


@admin_only
async def _get_file(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    try:
        content = await request.app[MEDIA].analyses.read_file(request.match_info["token"], name)
    except AnalysisNotFound as error:
        return error_response(404, "gone", str(error), _HEADERS)
    except AnalysisFileNotFound as error:
        return error_response(404, "not-found", str(error), _HEADERS)
    headers = {**_HEADERS, **_HEADERS_BY_SUFFIX[PurePosixPath(name).suffix]}
    return web.Response(body=content, headers=headers)


async def _get_frame(request: web.Request) -> web.Response:
    stream, seq = request.match_info["stream"], int(request.match_info["seq"])
    try:
        jpeg = await request.app[MEDIA].sessions.frame_jpeg(stream, seq)
    except (FrameNotFound, SessionGone) as error:
        return error_response(404, "gone", str(error), _HEADERS)
    return web.Response(body=jpeg, content_type="image/jpeg", headers=_HEADERS)
