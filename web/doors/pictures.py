"""`GET /streams/{stream}/pictures/{seq}`: what a caption speaks of, as long as it is kept."""

from aiohttp import web

from stream.kept_frames import FrameGone
from stream.sessions import SessionGone
from web.errors import error
from web.keys import SESSIONS

_HEADERS = {"Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin"}


def routes() -> list[web.AbstractRouteDef]:
    """`/streams/{stream}/pictures/{seq}`."""
    return [web.get(r"/streams/{stream}/pictures/{seq:\d{1,16}}", _picture)]


async def _picture(request: web.Request) -> web.Response:
    stream, seq = request.match_info["stream"], int(request.match_info["seq"])
    try:
        picture = await request.app[SESSIONS].picture(stream, seq)
    except (FrameGone, SessionGone) as problem:
        return error(404, "gone", str(problem), _HEADERS)
    return web.Response(body=picture, content_type="image/jpeg", headers=_HEADERS)
