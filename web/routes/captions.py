"""Live captions: server-sent events (HTML standard, section 9.2), WebVTT and JSON Lines."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from stream.broadcast import Subscription
from stream.captioning import CaptionEvent, display_text, feed_caption_json, webvtt
from stream.clock import boottime
from stream.history import BadQuery, Firing
from stream.publishing import NoSuchStream, PublishedStream, SignalChange, StreamUpdate, subscribe
from stream.quota import QuotaExceeded
from web.errors import error_response
from web.keys import PUBLICATIONS, RECENT
from web.routes.feeds import NAME, find_feed, no_such_feed_response
from web.routes.query import check_parameters, parse_bool, parse_int, parse_time
from web.routes.subscribers import (
    HEADERS,
    QUEUE_SIZE,
    SUBSCRIBERS,
    stream_updates,
)
from web.security import owner_of, quota_exceeded_response

_RETRY_MS = 3000
_MAX_LINES = 1_000_000
_VTT = "text/vtt; charset=utf-8"


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of captions as server-sent events, WebVTT and JSON Lines."""
    feed = f"/api/feeds/{NAME}"
    # HEAD is not allowed, since the response to it would never end.
    return [
        web.get("/api/events", _all_events, allow_head=False),
        web.get(f"{feed}/events", _feed_events, allow_head=False),
        web.get(f"{feed}/captions.vtt", _vtt, allow_head=False),
        web.get(f"{feed}/captions.jsonl", _jsonl, allow_head=False),
    ]


async def _all_events(request: web.Request) -> web.StreamResponse:
    return await _stream_events(request, None)


async def _feed_events(request: web.Request) -> web.StreamResponse:
    try:
        stream = find_feed(request)
    except NoSuchStream as error:
        return no_such_feed_response(error)
    return await _stream_events(request, stream)


async def _stream_events(
    request: web.Request, stream: PublishedStream | None
) -> web.StreamResponse:
    # Browsers send it when they reconnect (HTML standard, section 9.2.4).
    last_id = request.headers.get("Last-Event-ID", "")
    try:
        maps = parse_bool(request, "maps")
    except BadQuery as error:
        return error_response(400, "bad-request", str(error))
    try:
        with _subscription(request, stream, last_id) as updates:
            return await stream_updates(
                request,
                "text/event-stream",
                updates,
                lambda update: _encode_event(update, maps, ends_with_stream=stream is not None),
                head=f"retry: {_RETRY_MS}\n\n",
                heartbeat=":\n\n",
                encode_dropped=lambda count: _sse("missed", {"count": count}),
            )
    except QuotaExceeded as error:
        return quota_exceeded_response(error)


def _encode_event(update: StreamUpdate, maps: bool, *, ends_with_stream: bool) -> str | None:
    if isinstance(update, CaptionEvent):
        return f"id: {update.id}\n{_sse('caption', feed_caption_json(update, maps=maps))}"
    if isinstance(update, Firing):
        return _sse("rule", update.to_json())
    if update.signal is None and ends_with_stream:
        return None
    signal = update.signal.to_json() if update.signal else None
    return _sse("signal", {"feed": update.stream, "signal": signal})


def _sse(event: str, data: dict[str, Any]) -> str:
    return f"event: {event}\ndata: {json.dumps(data)}\n\n"


async def _vtt(request: web.Request) -> web.StreamResponse:
    """Return the last minutes as a subtitle file or, with `follow`, cues as captions arrive.

    Players count subtitle times from the start of their video. `zero` is that start; by default
    it is the feed's first caption, which stays the same while the feed exists.
    """
    try:
        check_parameters(request, "zero", "follow")
        stream, follow = find_feed(request), parse_bool(request, "follow")
        zero = parse_time(request, "zero")
    except NoSuchStream as error:
        return no_such_feed_response(error)
    except BadQuery as error:
        return error_response(400, "bad-request", str(error))
    first = request.app[RECENT].first(stream.name) if zero is None else None
    if first:
        zero, zero_boottime = first.captured, first.captured_boottime
    else:
        now = time.time()
        zero = now if zero is None else zero
        zero_boottime = boottime() - (now - zero)
    head = f"{webvtt.HEADER}{webvtt.note(f'00:00:00.000 is {_iso(zero)}')}"
    if not follow:
        text = head + _recent_cues(request, stream, zero_boottime)
        return web.Response(text=text, content_type="text/vtt", headers=HEADERS)
    try:
        with _subscription(request, stream) as updates:
            encoder = _CueEncoder(zero_boottime, stream)
            return await stream_updates(
                request, _VTT, updates, encoder, head=head, heartbeat="\nNOTE\n"
            )
    except QuotaExceeded as error:
        return quota_exceeded_response(error)


async def _jsonl(request: web.Request) -> web.StreamResponse:
    """Stream captions from the latest on, one JSON object a line; `limit` ends the response."""
    try:
        check_parameters(request, "limit", "maps")
        stream, limit = find_feed(request), parse_int(request, "limit", 1, _MAX_LINES)
        maps = parse_bool(request, "maps")
    except NoSuchStream as error:
        return no_such_feed_response(error)
    except BadQuery as error:
        return error_response(400, "bad-request", str(error))
    encoder = _LineEncoder(limit, maps)
    try:
        with _subscription(request, stream) as updates:
            return await stream_updates(
                request,
                "application/jsonl",
                updates,
                encoder,
                # JSON allows white space before a value, so a space never breaks a line.
                heartbeat=" ",
                is_complete=encoder.is_complete,
            )
    except QuotaExceeded as error:
        return quota_exceeded_response(error)


@contextmanager
def _subscription(
    request: web.Request, stream: PublishedStream | None, last_id: str = ""
) -> Iterator[Subscription[StreamUpdate]]:
    with (
        request.app[SUBSCRIBERS].admit(owner_of(request)),
        subscribe(request.app[PUBLICATIONS], stream, QUEUE_SIZE, last_id) as updates,
    ):
        yield updates


def _recent_cues(request: web.Request, stream: PublishedStream, zero: float) -> str:
    spans = request.app[RECENT].spans(stream.name)
    # The last caption is taken to last until a client requests the file again.
    last_s = 2 * stream.interval_s
    return "".join(
        webvtt.cue(
            recent.started - zero,
            recent.ended - zero + last_s * (recent is spans[-1]),
            recent.span.said,
        )
        for recent in spans
        if recent.ended > zero
    )


class _CueEncoder:
    """Encodes captions as WebVTT cues that end when the next caption is due and never overlap.

    Time zero is on the clock `boottime`, so that a step of the clock moves no cue.
    """

    def __init__(self, zero: float, stream: PublishedStream) -> None:
        self._zero, self._stream = zero, stream
        self._end = 0.0

    def __call__(self, update: StreamUpdate) -> str | None:
        if not isinstance(update, CaptionEvent):
            return _end_of(update)
        begin = max(self._end, update.captured_boottime - self._zero)
        end = boottime() + self._stream.interval_s - self._zero
        if end <= begin:
            return ""
        self._end = end
        # The empty line marks the end of the cue, so that players show it at once.
        return f"{webvtt.cue(begin, end, display_text(update.caption))}\n"


class _LineEncoder:
    """Encodes captions as JSON Lines, up to a limit, with their maps or without."""

    def __init__(self, limit: int | None, maps: bool) -> None:
        self._left, self._maps = limit, maps

    def is_complete(self) -> bool:
        return self._left == 0

    def __call__(self, update: StreamUpdate) -> str | None:
        if not isinstance(update, CaptionEvent):
            return _end_of(update)
        if self._left is not None:
            self._left -= 1
        return f"{json.dumps(feed_caption_json(update, maps=self._maps))}\n"


def _end_of(update: SignalChange | Firing) -> str | None:
    """Return None if an update ends the stream, "" if it changes nothing in a list of captions."""
    return None if isinstance(update, SignalChange) and update.signal is None else ""


def _iso(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds")
