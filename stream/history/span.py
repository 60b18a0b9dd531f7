"""Spans: consecutive captions of a feed with the same content, merged into one record."""

import json
from collections import OrderedDict
from collections.abc import Iterator
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

COLUMNS = "id, feed, ended, captions, text, guess, fallback, said, confidence, tags"
"""Columns of the table `spans` that make up a span."""

MICROSECONDS = 1_000_000
"""Microseconds per second."""

_MAX_OPEN_SPANS = 256


@dataclass(slots=True)
class Span:
    """A time span in which a feed had the same caption; it contains no image."""

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
    confidence: float
    """As `Caption.confidence`, the maximum of the captions."""
    tags: tuple[Tag, ...]
    """The objects, with the confidences at the start of the span."""

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
            text=caption.text,
            guess=caption.guess,
            fallback=caption.fallback,
            said=display_text(caption),
            confidence=round(caption.confidence, 4),
            tags=caption.tags,
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

    def to_json(self) -> dict[str, Any]:
        """Return the span as JSON values; times in seconds since the Unix epoch."""
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
        }

    def continues_with(self, event: CaptionEvent) -> bool:
        """Return whether the feed's next caption belongs to this span."""
        return (
            self.is_followed_by(event)
            and event.captured - self.started <= MAX_SPAN_S
            and _content(event.caption)
            == (self.text, self.guess, frozenset(tag.text for tag in self.tags))
        )

    def is_followed_by(self, event: CaptionEvent) -> bool:
        """Return whether the feed's next caption comes soon enough that the span lasts until it."""
        return 0 <= event.captured - self.ended <= MAX_GAP_S


class OpenSpans:
    """The last span of each feed, which the feed's next caption may extend."""

    def __init__(self) -> None:
        """Start without spans."""
        self._spans: OrderedDict[str, Span] = OrderedDict()

    def __iter__(self) -> Iterator[Span]:
        return iter(self._spans.values())

    def add(self, event: CaptionEvent) -> tuple[Span | None, Span]:
        """Add a caption.

        Returns:
            The feed's previous span, if this caption ended it, and the span that contains the
            caption. That one is new if it holds a single caption.
        """
        previous = self._spans.get(event.stream)
        if previous and previous.continues_with(event):
            previous.ended = event.captured
            previous.captions += 1
            previous.confidence = max(previous.confidence, round(event.caption.confidence, 4))
            return None, previous
        if previous and previous.is_followed_by(event):
            previous.ended = event.captured
        span = Span.from_event(event)
        self._spans[event.stream] = span
        self._spans.move_to_end(event.stream)
        while len(self._spans) > _MAX_OPEN_SPANS:
            self._spans.popitem(last=False)
        return previous, span

    def clear(self) -> None:
        """Close all spans, so that the next caption of each feed starts a new one."""
        self._spans.clear()


def to_microseconds(seconds: float) -> int:
    """Convert a time since the Unix epoch to the id of a span that starts then."""
    return round(seconds * MICROSECONDS)


def _content(caption: Caption) -> tuple[str, str, frozenset[str]]:
    return caption.text, caption.guess, frozenset(tag.text for tag in caption.tags)
