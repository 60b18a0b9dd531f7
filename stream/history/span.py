"""A span: how long a feed said the same."""

import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from inference.captioning import Caption, Tag
from stream.captioning import CaptionEvent, in_one_line

LONGEST_S = 600.0
"""A caption that stands for longer goes on in another span, so that a moment is in a span that
began not long before."""
GAP_S = 30.0
"""Captions further apart than this are two spans even if they say the same: between them nothing
is known."""
_MOST_FEEDS = 256
"""Feeds whose last span is remembered, so that it can go on."""
_MICROSECONDS = 1_000_000


@dataclass(slots=True)
class Span:
    """From when to when a feed said the same; it holds no picture."""

    id: int
    """When it began, in microseconds since the Unix epoch; made unique by adding some."""
    feed: str
    ended: float
    """When the next caption began or, without one, the last time that it was said; seconds since
    the Unix epoch."""
    captions: int
    """How many captions said it."""
    text: str
    """As `Caption.text`."""
    guess: str
    """As `Caption.guess`."""
    fallback: str | None
    """As `Caption.fallback`."""
    said: str
    """The text in a line that owns up to a doubt."""
    confidence: float
    """As `Caption.confidence`, of the surest of the captions."""
    tags: tuple[Tag, ...]
    """The objects, as sure as they were when it began."""

    @property
    def begun(self) -> float:
        """When it began, in seconds since the Unix epoch."""
        return self.id / _MICROSECONDS

    @classmethod
    def of(cls, event: CaptionEvent) -> Self:
        """Begin a span with a caption."""
        said = event.caption
        return cls(
            id=moment(event.captured),
            feed=event.stream,
            ended=event.captured,
            captions=1,
            text=said.text,
            guess=said.guess,
            fallback=said.fallback,
            said=in_one_line(said),
            confidence=round(said.confidence, 4),
            tags=said.tags,
        )

    @classmethod
    def of_row(cls, row: tuple[Any, ...]) -> Self:
        """Read a row of the columns `COLUMNS`."""
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
        """Return it as JSON values; times in seconds since the Unix epoch."""
        return {
            "id": self.id,
            "feed": self.feed,
            "from": round(self.begun, 3),
            "to": round(self.ended, 3),
            "captions": self.captions,
            "text": self.text,
            "said": self.said,
            "confidence": self.confidence,
            "fallback": self.fallback,
            "guess": self.guess,
            "tags": [{"text": tag.text, "prob": tag.prob} for tag in self.tags],
        }

    def goes_on(self, event: CaptionEvent) -> bool:
        """Whether a later caption of the feed says the same, soon enough after."""
        return (
            self._is_near(event)
            and event.captured - self.begun <= LONGEST_S
            and _meaning(event.caption)
            == (self.text, self.guess, frozenset(tag.text for tag in self.tags))
        )

    def ends(self, event: CaptionEvent) -> bool:
        """Whether it lasted until this caption came."""
        return self._is_near(event)

    def _is_near(self, event: CaptionEvent) -> bool:
        return 0 <= event.captured - self.ended <= GAP_S


COLUMNS = "id, feed, ended, captions, text, guess, fallback, said, confidence, tags"


def moment(seconds: float) -> int:
    """Give the id that a span has which began at a time."""
    return round(seconds * _MICROSECONDS)


def _meaning(caption: Caption) -> tuple[str, str, frozenset[str]]:
    return caption.text, caption.guess, frozenset(tag.text for tag in caption.tags)


class OpenSpans:
    """The last span of each feed, which the feed's next caption may make longer."""

    def __init__(self) -> None:
        """Start with none."""
        self._open: OrderedDict[str, Span] = OrderedDict()

    def __iter__(self) -> Iterator[Span]:
        return iter(self._open.values())

    def follow(self, event: CaptionEvent) -> tuple[Span | None, Span]:
        """Take a caption in.

        Returns:
            The feed's span before, if this caption ended it, and the span that it is in: a new one
            if there is one before or it holds one caption.
        """
        before = self._open.get(event.stream)
        if before and before.goes_on(event):
            before.ended = event.captured
            before.captions += 1
            before.confidence = max(before.confidence, round(event.caption.confidence, 4))
            return None, before
        if before and before.ends(event):
            before.ended = event.captured
        span = Span.of(event)
        self._open[event.stream] = span
        self._open.move_to_end(event.stream)
        while len(self._open) > _MOST_FEEDS:
            self._open.popitem(last=False)
        return before, span

    def forget(self) -> None:
        """Begin a new span with whatever comes next."""
        self._open.clear()
