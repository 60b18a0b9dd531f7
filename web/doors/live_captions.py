"""`captions.vtt` and `captions.jsonl`: what a feed says, as players and programs read it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from aiohttp import web

from stream import webvtt
from stream.broadcast import Subscription
from stream.caption_event import CaptionEvent
from stream.caption_json import feed_caption_json
from stream.captioned_stream import CaptionedStream
from stream.doubt import in_one_line
from stream.history import BadQuery
from stream.news import News, news_of
from stream.publications import NoSuchStream
from web import query
from web.doors.feeds import NAME, find, no_such
from web.doors.readers import HEADERS, READERS, ROOM, TooManyReaders, follow, too_many
from web.errors import error
from web.keys import PUBLICATIONS, RECENT

_MOST_LINES = 1_000_000
_VTT = "text/vtt; charset=utf-8"


def routes() -> list[web.AbstractRouteDef]:
    """`/api/feeds/{name}/captions.vtt` and `/api/feeds/{name}/captions.jsonl`."""
    path = f"/api/feeds/{NAME}/captions"
    return [
        web.get(f"{path}.vtt", _vtt, allow_head=False),
        web.get(f"{path}.jsonl", _jsonl, allow_head=False),
    ]


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
