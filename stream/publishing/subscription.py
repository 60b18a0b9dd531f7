"""What is new of published streams, for one reader: captions and signals, in order.

What each published stream said in the last minutes, for subtitles.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from stream.broadcast import Broadcast, Subscription
from stream.captioned_stream import CaptionedStream, Signal
from stream.captioning import CaptionEvent
from stream.history import OpenSpans, Span
from stream.publishing.publications import Publications

WINDOW_S = 600.0
"""How far back it is known."""

_MOST_SPANS = 1000


@dataclass(frozen=True, slots=True)
class SignalChange:
    """A stream's signal is another; None once the stream is gone."""

    stream: str
    signal: Signal | None


News = CaptionEvent | SignalChange


@contextmanager
def news_of(
    publications: Publications, stream: CaptionedStream | None, room: int, last: str = ""
) -> Iterator[Subscription[News]]:
    """Collect what is new, from how it is now on.

    Args:
        publications: All streams.
        stream: The one that is followed, which counts this reader as a viewer; all when None.
        room: How much may wait for the reader; of more the oldest is lost.
        last: The id of the caption that the reader had last: those since come first. Where it is
            not known, the newest of each stream does.
    """
    door: Broadcast[News] = Broadcast()
    signals: dict[str, Signal] = {}

    def tell_signals(_: None) -> None:
        here = {
            each.name: each.signal
            for each in publications.all()
            if stream is None or each is stream
        }
        for name, signal in here.items():
            if signals.get(name) != signal:
                door.publish(SignalChange(name, signal))
        for name in set(signals) - set(here):
            door.publish(SignalChange(name, None))
        signals.clear()
        signals.update(here)

    def tell(event: CaptionEvent) -> None:
        if stream is None or event.stream == stream.name:
            door.publish(event)

    with ExitStack() as stack:
        if stream:
            stack.enter_context(stream.watched())
        subscription = stack.enter_context(door.subscribe(room))
        tell_signals(None)
        for event in _begin(publications, stream, last):
            tell(event)
        stack.callback(publications.captions.listen(tell))
        stack.callback(publications.changes.listen(tell_signals))
        yield subscription


def _begin(
    publications: Publications, stream: CaptionedStream | None, last: str
) -> Sequence[CaptionEvent]:
    """What a reader has not seen yet."""
    since = publications.recent.after(last)
    if since is not None:
        return since
    streams = (stream,) if stream else publications.all()
    return [each.newest for each in streams if each.newest]


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
