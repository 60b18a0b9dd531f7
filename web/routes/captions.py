"""Captions as server-sent events (HTML standard, 9.2): of one feed, or of all.

`captions.vtt` and `captions.jsonl`: what a feed says, as players and programs read it.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from stream.broadcast import Subscription
from stream.captioned_stream import CaptionedStream
from stream.captioning import CaptionEvent, feed_caption_json, in_one_line, webvtt
from stream.history import BadQuery
from stream.publishing import News, NoSuchStream, news_of
from web.errors import error
from web.keys import PUBLICATIONS, RECENT
from web.routes import query
from web.routes.feeds import NAME, find, no_such
from web.routes.subscribers import HEADERS, READERS, ROOM, TooManyReaders, follow, too_many

_RETRY_MS = 3000
_MOST_LINES = 1_000_000
_VTT = "text/vtt; charset=utf-8"


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of captions as server-sent events, WebVTT and JSON Lines."""
    feed = f"/api/feeds/{NAME}"
    # A HEAD request would open a response that never ends.
    return [
        web.get("/api/events", _all, allow_head=False),
        web.get(f"{feed}/events", _one, allow_head=False),
        web.get(f"{feed}/captions.vtt", _vtt, allow_head=False),
        web.get(f"{feed}/captions.jsonl", _jsonl, allow_head=False),
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


async def _vtt(request: web.Request) -> web.StreamResponse:
    """The last minutes as a file of subtitles or, with `follow`, what is said from now on.

    A player takes the times of subtitles from where its video begins. `zero` says when that was;
    without, it is when the feed's first caption was, the same as long as the feed lives.
    """
    try:
        query.check_known(request, "zero", "follow")
        stream, follows = find(request), query.flag(request, "follow")
        zero = query.time(request, "zero")
    except NoSuchStream as problem:
        return no_such(problem)
    except BadQuery as problem:
        return error(400, "bad-request", str(problem))
    if zero is None:
        zero = request.app[RECENT].begun(stream.name) or time.time()
    head = f"{webvtt.HEADER}{webvtt.note(f'00:00:00.000 is {_clock(zero)}')}"
    if not follows:
        text = head + _finished(request, stream, zero)
        return web.Response(text=text, content_type="text/vtt", headers=HEADERS)
    try:
        with _reading(request, stream) as door:
            cues = _Cues(zero, stream)
            return await follow(request, _VTT, door, cues, head=head, heartbeat="\nNOTE\n")
    except TooManyReaders as problem:
        return too_many(problem)


async def _jsonl(request: web.Request) -> web.StreamResponse:
    """Captions from the newest on, a line each, as they come; `limit` ends it after so many."""
    try:
        query.check_known(request, "limit")
        stream, limit = find(request), query.number(request, "limit", 1, _MOST_LINES)
    except NoSuchStream as problem:
        return no_such(problem)
    except BadQuery as problem:
        return error(400, "bad-request", str(problem))
    lines = _Lines(limit)
    try:
        with _reading(request, stream) as door:
            # White space before a value is JSON too: a line may begin with heartbeats.
            return await follow(
                request, "application/jsonl", door, lines, heartbeat=" ", enough=lines.are_enough
            )
    except TooManyReaders as problem:
        return too_many(problem)


@contextmanager
def _reading(request: web.Request, stream: CaptionedStream) -> Iterator[Subscription[News]]:
    with request.app[READERS].admit(), news_of(request.app[PUBLICATIONS], stream, ROOM) as door:
        yield door


def _finished(request: web.Request, stream: CaptionedStream, zero: float) -> str:
    spans = request.app[RECENT].of(stream.name)
    # What was said last is taken to hold until a reader comes again.
    last = 2 * stream.sampler.interval_s
    return "".join(
        webvtt.cue(span.begun - zero, span.ended - zero + last * (span is spans[-1]), span.said)
        for span in spans
        if span.ended > zero
    )


class _Cues:
    """A cue for each caption, which lasts until the next one is due: they never overlap."""

    def __init__(self, zero: float, stream: CaptionedStream) -> None:
        self._zero, self._stream = zero, stream
        self._end = 0.0

    def __call__(self, news: News) -> str | None:
        if not isinstance(news, CaptionEvent):
            return None if news.signal is None else ""
        begin = max(self._end, news.captured - self._zero)
        end = time.time() + self._stream.sampler.interval_s - self._zero
        if end <= begin:
            return ""
        self._end = end
        # A parser knows that a cue is whole by the empty line after it.
        return f"{webvtt.cue(begin, end, in_one_line(news.caption))}\n"


class _Lines:
    """A line for each caption, until there are enough."""

    def __init__(self, limit: int | None) -> None:
        self._left = limit

    def are_enough(self) -> bool:
        return self._left == 0

    def __call__(self, news: News) -> str | None:
        if not isinstance(news, CaptionEvent):
            return None if news.signal is None else ""
        if self._left is not None:
            self._left -= 1
        return f"{json.dumps(feed_caption_json(news))}\n"


def _clock(zero: float) -> str:
    return datetime.fromtimestamp(zero, UTC).isoformat(timespec="milliseconds")
