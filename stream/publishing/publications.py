"""Published streams (feeds, and sessions that others may watch), with their recent captions."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stream.broadcast import Broadcast
from stream.captioned_stream import CaptionedStream
from stream.captioning import CaptionEvent
from stream.clock import boottime
from stream.history import KeptPicture, OpenSpans, Span
from stream.publishing.published_stream import PublishedStream, RemoteStream
from stream.publishing.rule_reports import RuleReports

MAX_RECENT_CAPTIONS = 200
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
        self._stand_ins: dict[str, RemoteStream] = {}
        self.accepts: Callable[[CaptionEvent], bool] = lambda event: True
        """Whether to publish a caption of a stream that is no stand-in."""
        self.captions: Broadcast[CaptionEvent] = Broadcast()
        """Publishes the captions of all streams."""
        self.pictures: Broadcast[KeptPicture] = Broadcast()
        """Publishes the pictures that the history stores, of all feeds."""
        self.rules = RuleReports()
        """What rules report about the streams."""
        self.recent = RecentCaptions(self.captions)
        self.changes: Broadcast[None] = Broadcast()
        """Publishes an event when a stream is added or removed, or its signal changes."""

    def add(self, stream: PublishedStream) -> None:
        """Publish a stream under its name.

        A feed takes the place of its stand-in.

        Raises:
            NameTaken: If the name is in use.
        """
        present = self._publications.get(stream.name)
        stand_in = self._stand_ins.get(stream.name)
        replaces = present and present.stream is stand_in and stream.kind == "feed"
        if present and not replaces:
            raise NameTaken(f"the name {stream.name} is in use; choose another name")
        self._publish(stream)
        self.changes.publish(None)

    def add_stand_in(self, stream: RemoteStream) -> None:
        """Publish a stream of another server, whenever this server has none of that name."""
        self._stand_ins[stream.name] = stream
        if stream.name not in self._publications:
            self._publish(stream)
            self.changes.publish(None)

    def remove_stand_in(self, stream: RemoteStream) -> None:
        """Stop publishing a stream of another server."""
        if self._stand_ins.get(stream.name) is stream:
            del self._stand_ins[stream.name]
            self.remove(stream)

    def remove(self, stream: PublishedStream) -> None:
        """Stop publishing a stream; does nothing if it is not published."""
        publication = self._publications.get(stream.name)
        if publication is None or publication.stream is not stream:
            return
        if stand_in := self._stand_ins.get(stream.name):
            self._publish(stand_in)
        else:
            self._withdraw(stream.name)
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

    def is_stand_in(self, stream: PublishedStream) -> bool:
        """Whether a stream is that of another server."""
        return self._stand_ins.get(stream.name) is stream

    def _publish(self, stream: PublishedStream) -> None:
        """Publish a stream, in place of the one with its name."""
        is_stand_in = self._stand_ins.get(stream.name) is stream
        unsubscribe = (
            stream.captions.subscribe(self.captions.publish if is_stand_in else self._publish_own),
            stream.signals.subscribe(lambda _: self.changes.publish(None)),
        )
        if stream.name in self._publications:
            for each in self._publications[stream.name].unsubscribe:
                each()
        self._publications[stream.name] = _Publication(stream, unsubscribe)

    def _withdraw(self, name: str) -> None:
        for unsubscribe in self._publications.pop(name).unsubscribe:
            unsubscribe()

    def _publish_own(self, event: CaptionEvent) -> None:
        if self.accepts(event):
            self.captions.publish(event)


class RecentCaptions:
    """The latest captions of all published streams, for subscribers that reconnect."""

    def __init__(self, captions: Broadcast[CaptionEvent]) -> None:
        """Collect captions from now on."""
        self._events: deque[CaptionEvent] = deque(maxlen=MAX_RECENT_CAPTIONS)
        captions.subscribe(self._events.append)

    def restore(self, events: Sequence[CaptionEvent]) -> None:
        """Put captions before those that were collected since the start."""
        kept = [*events, *self._events]
        self._events.clear()
        self._events.extend(kept)

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
