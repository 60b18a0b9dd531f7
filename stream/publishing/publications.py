"""Published streams (feeds, and sessions that others may watch), with their recent captions."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stream.broadcast import Broadcast
from stream.captioned_stream import CaptionedStream
from stream.captioning import CaptionEvent
from stream.clock import boottime
from stream.history import OpenSpans, Span
from stream.publishing.published_stream import PublishedStream, RemoteStream

_MAX_RECENT_CAPTIONS = 200
_RECENT_SPANS_S = 600.0
_MAX_RECENT_SPANS = 1000


class NoSuchStream(LookupError):
    """No stream is published under the name."""


class CaptionedElsewhere(RuntimeError):
    """The stream is captioned by another process, which has its video."""

    def __init__(self, stream: RemoteStream) -> None:
        super().__init__(f"{stream.name} is captioned by another process")
        self.stream = stream


class NameTaken(ValueError):
    """Another stream is published under the name."""


class _Publication(NamedTuple):
    stream: PublishedStream
    unsubscribe: tuple[Callable[[], None], ...]


class Publications:
    """The published streams, by name."""

    def __init__(self) -> None:
        """Start without streams."""
        self._publications: dict[str, _Publication] = {}
        self.captions: Broadcast[CaptionEvent] = Broadcast()
        """Publishes the captions of all streams."""
        self.recent = RecentCaptions(self.captions)
        self.changes: Broadcast[None] = Broadcast()
        """Publishes an event when a stream is added or removed, or its signal changes."""

    def add(self, stream: PublishedStream) -> None:
        """Publish a stream under its name.

        Raises:
            NameTaken: If the name is in use.
        """
        if stream.name in self._publications:
            raise NameTaken(f"the name {stream.name} is in use; choose another name")
        unsubscribe = (
            stream.captions.subscribe(self.captions.publish),
            stream.signals.subscribe(lambda _: self.changes.publish(None)),
        )
        self._publications[stream.name] = _Publication(stream, unsubscribe)
        self.changes.publish(None)

    def remove(self, stream: PublishedStream) -> None:
        """Stop publishing a stream; does nothing if it is not published."""
        publication = self._publications.get(stream.name)
        if publication is None or publication.stream is not stream:
            return
        del self._publications[stream.name]
        for unsubscribe in publication.unsubscribe:
            unsubscribe()
        self.changes.publish(None)

    def find(self, name: str) -> PublishedStream:
        """Return the stream with a name.

        Raises:
            NoSuchStream: If there is none.
        """
        try:
            return self._publications[name].stream
        except KeyError:
            raise NoSuchStream(f"there is no feed named {name}") from None

    def find_here(self, name: str) -> CaptionedStream:
        """Return the stream with a name, with its video.

        Raises:
            NoSuchStream: If there is none.
            CaptionedElsewhere: If another process captions it.
        """
        stream = self.find(name)
        if isinstance(stream, RemoteStream):
            raise CaptionedElsewhere(stream)
        assert isinstance(stream, CaptionedStream)
        return stream

    def all(self) -> tuple[PublishedStream, ...]:
        """Return all streams, in the order in which they were added."""
        return tuple(publication.stream for publication in self._publications.values())


class RecentCaptions:
    """The latest captions of all published streams, for subscribers that reconnect."""

    def __init__(self, captions: Broadcast[CaptionEvent]) -> None:
        """Collect captions from now on."""
        self._events: deque[CaptionEvent] = deque(maxlen=_MAX_RECENT_CAPTIONS)
        captions.subscribe(self._events.append)

    def after(self, id_: str) -> Sequence[CaptionEvent] | None:
        """Return the captions after the one with an id; None if that is not kept any more."""
        events = list(self._events)
        for index in reversed(range(len(events))):
            if events[index].id == id_:
                return events[index + 1 :]
        return None


@dataclass(frozen=True, slots=True)
class RecentSpan:
    """A span with its times on the clock `boottime`, so that setting the clock moves nothing."""

    span: Span
    started: float

    @property
    def ended(self) -> float:
        """End of the span."""
        return self.started + self.span.ended - self.span.started


@dataclass(slots=True)
class _StreamSpans:
    first: CaptionEvent
    spans: deque[RecentSpan] = field(default_factory=lambda: deque(maxlen=_MAX_RECENT_SPANS))


class RecentSpans:
    """The caption spans of each published stream in the last ten minutes, for subtitles."""

    def __init__(self, publications: Publications) -> None:
        """Collect spans from now on."""
        self._publications = publications
        self._open = OpenSpans()
        self._streams: dict[str, _StreamSpans] = {}
        publications.captions.subscribe(self._add)
        publications.changes.subscribe(self._remove_unpublished)

    def spans(self, name: str) -> list[RecentSpan]:
        """Return the spans of a stream, the oldest first."""
        stream = self._streams.get(name)
        oldest = boottime() - _RECENT_SPANS_S
        return [span for span in stream.spans if span.ended >= oldest] if stream else []

    def first(self, name: str) -> CaptionEvent | None:
        """Return a stream's first caption."""
        stream = self._streams.get(name)
        return stream.first if stream else None

    def _add(self, event: CaptionEvent) -> None:
        _, span = self._open.add(event)
        stream = self._streams.setdefault(event.stream, _StreamSpans(event))
        if span.captions == 1:
            oldest = boottime() - _RECENT_SPANS_S
            while stream.spans and stream.spans[0].ended < oldest:
                stream.spans.popleft()
            stream.spans.append(RecentSpan(span, event.captured_boottime))

    def _remove_unpublished(self, _: None) -> None:
        published = {stream.name for stream in self._publications.all()}
        for name in set(self._streams) - published:
            del self._streams[name]
