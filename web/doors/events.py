"""Captions as server-sent events (HTML standard, 9.2): of one feed, or of all."""

import json
from typing import Any

from aiohttp import web

from stream.caption_event import CaptionEvent
from stream.caption_json import feed_caption_json
from stream.captioned_stream import CaptionedStream
from stream.news import News, news_of
from stream.publications import NoSuchStream
from web.doors.feeds import NAME, find, no_such
from web.doors.readers import READERS, ROOM, TooManyReaders, follow, too_many
from web.keys import PUBLICATIONS

_RETRY_MS = 3000


def routes() -> list[web.AbstractRouteDef]:
    """`/api/events` and `/api/feeds/{name}/events`."""
    # A HEAD would be a reader who never goes.
    return [
        web.get("/api/events", _all, allow_head=False),
        web.get(f"/api/feeds/{NAME}/events", _one, allow_head=False),
    ]


async def _all(request: web.Request) -> web.StreamResponse:
    return await _tell(request, None)


async def _one(request: web.Request) -> web.StreamResponse:
    try:
        stream = find(request)
    except NoSuchStream as problem:
        return no_such(problem)
    return await _tell(request, stream)


async def _tell(request: web.Request, stream: CaptionedStream | None) -> web.StreamResponse:
    # Sent by whoever comes again after a line that broke (HTML standard, 9.2.4).
    last = request.headers.get("Last-Event-ID", "")
    try:
        with (
            request.app[READERS].admit(),
            news_of(request.app[PUBLICATIONS], stream, ROOM, last) as door,
        ):
            return await follow(
                request,
                "text/event-stream",
                door,
                lambda news: _event(news, ends=stream is not None),
                head=f"retry: {_RETRY_MS}\n\n",
                heartbeat=":\n\n",
                missed=lambda count: _written("missed", {"count": count}),
            )
    except TooManyReaders as problem:
        return too_many(problem)


def _event(news: News, *, ends: bool) -> str | None:
    if isinstance(news, CaptionEvent):
        body = feed_caption_json(news)
        return f"id: {news.id}\n{_written('caption', body)}"
    if news.signal is None and ends:
        return None
    signal = news.signal.to_json() if news.signal else None
    return _written("signal", {"feed": news.stream, "signal": signal})


def _written(kind: str, body: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(body)}\n\n"
