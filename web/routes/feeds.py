"""`/api/feeds`: what can be watched, how it is with each, and its newest picture."""

from typing import Any

from aiohttp import web

from stream.captioned_stream import CaptionedStream
from stream.captioning import FrameGone, feed_caption_json
from stream.publishing import NoSuchStream
from web.errors import error
from web.keys import FEEDS, HISTORY, PUBLICATIONS

NAME = r"{name:[a-z0-9][a-z0-9_-]{0,39}}"


HEADERS = {"Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin"}


def routes() -> list[web.AbstractRouteDef]:
    """`/api/feeds`, and below it each feed and its picture."""
    return [
        web.get("/api/feeds", _all),
        web.get(f"/api/feeds/{NAME}", _one),
        web.get(f"/api/feeds/{NAME}/picture", _picture),
    ]


def find(request: web.Request) -> CaptionedStream:
    """Find the stream that a path names.

    Raises:
        NoSuchStream: If there is none.
    """
    return request.app[PUBLICATIONS].find(request.match_info["name"])


def no_such(problem: NoSuchStream) -> web.Response:
    """Say that there is none."""
    return error(404, "no-such-feed", str(problem), HEADERS)


async def _all(request: web.Request) -> web.Response:
    streams = request.app[PUBLICATIONS].all()
    body = {"feeds": [_to_json(request.app, stream) for stream in streams]}
    return web.json_response(body, headers=HEADERS)


async def _one(request: web.Request) -> web.Response:
    try:
        stream = find(request)
    except NoSuchStream as problem:
        return no_such(problem)
    return web.json_response(_to_json(request.app, stream), headers=HEADERS)


async def _picture(request: web.Request) -> web.Response:
    try:
        kept = find(request).frames.newest()
        picture = await kept.jpeg()
    except NoSuchStream as problem:
        return no_such(problem)
    except FrameGone as problem:
        return error(404, "gone", str(problem), HEADERS)
    return web.Response(body=picture, content_type="image/jpeg", headers=HEADERS)


def _to_json(app: web.Application, stream: CaptionedStream) -> dict[str, Any]:
    path = f"/api/feeds/{stream.name}"
    return {
        "name": stream.name,
        "title": stream.title,
        "kind": "feed" if any(feed.stream is stream for feed in app[FEEDS]) else "session",
        "signal": stream.signal.to_json(),
        "interval_s": stream.sampler.interval_s,
        "explanations": stream.maps.explanations,
        "viewers": stream.viewers,
        "caption": feed_caption_json(stream.newest) if stream.newest else None,
        "history": HISTORY in app,
        "links": {
            "events": f"{path}/events",
            "captions": f"{path}/captions.jsonl",
            "subtitles": f"{path}/captions.vtt",
            "whep": f"/whep/{stream.name}",
            "picture": f"{path}/picture",
        },
    }
