"""What each published stream said in the last minutes, for subtitles."""

import time
from collections import deque
from dataclasses import dataclass, field

from stream.caption_event import CaptionEvent
from stream.history.span import OpenSpans, Span
from stream.publications import Publications

WINDOW_S = 600.0
"""How far back it is known."""
_MOST_SPANS = 1000


@dataclass(slots=True)
class _Recent:
    begun: float
    spans: deque[Span] = field(default_factory=lambda: deque(maxlen=_MOST_SPANS))


class RecentSpans:
    """The last minutes of all streams that are published: no more, and none of others."""

    def __init__(self, publications: Publications) -> None:
        """Listen from now on."""
        self._publications = publications
        self._open = OpenSpans()
        self._recent: dict[str, _Recent] = {}
        publications.captions.listen(self._add)
        publications.changes.listen(self._forget_gone)

    def of(self, name: str) -> list[Span]:
        """Give what a stream said in the last minutes, the oldest first."""
        recent = self._recent.get(name)
        oldest = time.time() - WINDOW_S
        return [span for span in recent.spans if span.ended >= oldest] if recent else []

    def begun(self, name: str) -> float | None:
        """Say when the stream's first caption was; seconds since the Unix epoch."""
        recent = self._recent.get(name)
        return recent.begun if recent else None

    def _add(self, event: CaptionEvent) -> None:
        _, span = self._open.follow(event)
        recent = self._recent.setdefault(event.stream, _Recent(event.captured))
        if span.captions == 1:
            recent.spans.append(span)

    def _forget_gone(self, _: None) -> None:
        here = {stream.name for stream in self._publications.all()}
        for name in set(self._recent) - here:
            del self._recent[name]
