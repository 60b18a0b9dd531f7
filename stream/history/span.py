"""Spans: consecutive captions of a feed with the same content, merged into one record."""

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Self

from inference.captioning import Caption, Tag
from stream.captioning import CaptionEvent, display_text

MAX_SPAN_S = 600.0
"""Maximum duration of a span; a longer caption continues in another one. It bounds how far back a
search for the span at a given time has to look."""

MAX_GAP_S = 30.0
"""Captions further apart than this are two spans even with the same content, because nothing is
known about the time between them."""

MAX_DURATION_S = MAX_SPAN_S + MAX_GAP_S
"""Maximum time between the start and the end of a span, which lasts until the next caption."""

COLUMNS = "id, feed, ended, captions, text, guess, fallback, said, confidence, tags"
"""Columns of the table `spans` that make up a span."""

MICROSECONDS = 1_000_000
"""Microseconds per second."""

_MAX_CLOCK_STEP_S = 1.0
"""A step of the clock by more than this ends a span, so that only captions before it are dated by
the wrong time."""

MAX_AHEAD_S = 60.0
"""A span that starts this far ahead of the clock was dated by a clock that was wrong."""

_MAX_OPEN_SPANS = 256


@dataclass(slots=True)
class Span:
    """A time span in which a feed had the same caption; its picture, if any, is not part of it."""

    id: int
    """Start in microseconds since the Unix epoch, incremented if necessary to make it unique."""
    feed: str
    ended: float
    """Time of the next caption or, without one, of the last caption of this span; in seconds since
    the Unix epoch."""
    captions: int
    """Number of captions in the span."""
    text: str
    """As `Caption.text`."""
    guess: str
    """As `Caption.guess`."""
    fallback: str | None
    """As `Caption.fallback`."""
    said: str
    """The caption as `display_text`, which states low confidence."""
    confidence: float | None
    """As `Caption.confidence`, the maximum of the captions that have one."""
    tags: tuple[Tag, ...]
    """The objects, with the confidences at the start of the span."""
    has_picture: bool = False
    """Whether it has a picture, as of when it was read."""

    @property
    def started(self) -> float:
        """Start of the span, in seconds since the Unix epoch."""
        return self.id / MICROSECONDS

    @classmethod
    def from_event(cls, event: CaptionEvent) -> Self:
        """Start a span with a caption."""
        caption = event.caption
        return cls(
            id=to_microseconds(event.captured),
            feed=event.stream,
            ended=event.captured,
            captions=1,
            text=storable(caption.text),
            guess=storable(caption.guess),
            fallback=caption.fallback,
            said=storable(display_text(caption)),
            confidence=caption.confidence,
            tags=tuple(Tag(storable(tag.text), tag.prob) for tag in caption.tags),
        )

    @classmethod
    def from_row(cls, row: tuple[Any, ...]) -> Self:
        """Create a span from the values of `COLUMNS`."""
        values = dict(zip(COLUMNS.split(", "), row, strict=True))
        tags = tuple(Tag(text, prob) for text, prob in json.loads(values.pop("tags")))
        return cls(**values, tags=tags)

    def to_row(self) -> tuple[Any, ...]:
        """Return the values of `COLUMNS`."""
        return (
            self.id,
            self.feed,
            self.ended,
            self.captions,
            self.text,
            self.guess,
            self.fallback,
            self.said,
            self.confidence,
            json.dumps([(tag.text, round(tag.prob, 4)) for tag in self.tags]),
        )

    def to_json(self, path: str = "") -> dict[str, Any]:
        """Return the span as JSON values; times in seconds since the Unix epoch.

        Args:
            path: Path of the history, of which the link to its picture is made; empty for no link.
        """
        return {
            "id": self.id,
            "feed": self.feed,
            "from": round(self.started, 3),
            "to": round(self.ended, 3),
            "captions": self.captions,
            "text": self.text,
            "said": self.said,
            "confidence": self.confidence,
            "fallback": self.fallback,
            "guess": self.guess,
            "tags": [{"text": tag.text, "prob": tag.prob} for tag in self.tags],
            "picture": self.picture_link(path) or None,
        }

    def picture_link(self, path: str) -> str:
        """Return the link to its picture, below a path; empty without a picture or a path."""
        return f"{path}/{self.id}/picture" if path and self.has_picture else ""


@dataclass(slots=True)
class _OpenSpan:
    """A span that may be extended, with its times on the clock `boottime`, which is never set."""

    span: Span
    captured: float
    started_boottime: float
    last_boottime: float
    """Time of the span's last caption."""

    @classmethod
    def of(cls, event: CaptionEvent) -> Self:
        """Start a span with a caption."""
        boottime = event.captured_boottime
        return cls(Span.from_event(event), event.captured, boottime, boottime)

    def is_followed_by(self, event: CaptionEvent) -> bool:
        """Return whether the feed's next caption comes soon enough that the span lasts until it."""
        return 0 <= event.captured_boottime - self.last_boottime <= MAX_GAP_S

    def continues_with(self, event: CaptionEvent) -> bool:
        """Return whether the feed's next caption belongs to this span."""
        duration_s, span = event.captured_boottime - self.started_boottime, self.span
        return (
            self.is_followed_by(event)
            and duration_s <= MAX_SPAN_S
            and abs(event.captured - self.captured - duration_s) <= _MAX_CLOCK_STEP_S
            and _content(event.caption)
            == (span.text, span.guess, frozenset(tag.text for tag in span.tags))
        )

    def extend_to(self, event: CaptionEvent) -> None:
        """Let the span last until the feed's next caption."""
        self.last_boottime = event.captured_boottime
        self.span.ended = self.span.started + self.last_boottime - self.started_boottime


class OpenSpans:
    """The last span of each feed, which the feed's next caption may extend."""

    def __init__(self) -> None:
        """Start without spans."""
        self._spans: OrderedDict[str, _OpenSpan] = OrderedDict()

    def add(self, event: CaptionEvent) -> tuple[Span | None, Span]:
        """Add a caption.

        Returns:
            The feed's previous span, if this caption ended it, and the span that contains the
            caption. That one is new if it holds a single caption.
        """
        previous = self._spans.get(event.stream)
        if previous and previous.continues_with(event):
            previous.extend_to(event)
            span = previous.span
            span.captions += 1
            known = [span.confidence, event.caption.confidence]
            span.confidence = max((each for each in known if each is not None), default=None)
            return None, span
        if previous and previous.is_followed_by(event):
            previous.extend_to(event)
        following = self._spans[event.stream] = _OpenSpan.of(event)
        self._spans.move_to_end(event.stream)
        while len(self._spans) > _MAX_OPEN_SPANS:
            self._spans.popitem(last=False)
        return previous.span if previous else None, following.span

    def find(self, feed: str) -> Span | None:
        """Return the open span of a feed."""
        current = self._spans.get(feed)
        return current.span if current else None

    def close(self, span: Span) -> None:
        """Close a span, if it is open, so that its feed's next caption starts a new one."""
        current = self._spans.get(span.feed)
        if current and current.span is span:
            del self._spans[span.feed]

    def clear(self) -> None:
        """Close all spans, so that the next caption of each feed starts a new one."""
        self._spans.clear()


def to_microseconds(seconds: float) -> int:
    """Convert a time since the Unix epoch to the id of a span that starts then."""
    return round(seconds * MICROSECONDS)


def storable(text: str) -> str:
    """Return a text without what a database cannot store: NUL and lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    return (
        text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )


def _content(caption: Caption) -> tuple[str, str, frozenset[str]]:
    objects = frozenset(storable(tag.text) for tag in caption.tags)
    return storable(caption.text), storable(caption.guess), objects
