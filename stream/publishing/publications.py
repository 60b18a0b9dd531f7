"""The streams that can be watched by many: feeds, and sessions that were published.

The newest captions of all published streams, for a reader who was away for a moment.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from stream.broadcast import Broadcast
from stream.captioned_stream import CaptionedStream
from stream.captioning import CaptionEvent

_ROOM = 200


class NoSuchStream(LookupError):
    """There is no stream of that name."""


class NameTaken(ValueError):
    """There is a stream of that name already."""


class _Published(NamedTuple):
    stream: CaptionedStream
    end: tuple[Callable[[], None], ...]


class Publications:
    """All that can be watched, by name."""

    def __init__(self) -> None:
        """Start with none."""
        self._published: dict[str, _Published] = {}
        self.captions: Broadcast[CaptionEvent] = Broadcast()
        """Told the captions of all streams: what history and other programs are told from."""
        self.recent = RecentCaptions(self.captions)
        self.changes: Broadcast[None] = Broadcast()
        """Told when a stream was added or removed, or its signal changed."""

    def add(self, stream: CaptionedStream) -> None:
        """Publish a stream under its name.

        Raises:
            NameTaken: If another one has that name.
        """
        if stream.name in self._published:
            raise NameTaken(f"there is a stream named {stream.name} already: choose another name")
        end = (
            stream.captions.listen(self.captions.publish),
            stream.signals.listen(lambda _: self.changes.publish(None)),
        )
        self._published[stream.name] = _Published(stream, end)
        self.changes.publish(None)

    def remove(self, stream: CaptionedStream) -> None:
        """Publish a stream no more; of one that is not published nothing is done."""
        published = self._published.get(stream.name)
        if published is None or published.stream is not stream:
            return
        del self._published[stream.name]
        for end in published.end:
            end()
        self.changes.publish(None)

    def find(self, name: str) -> CaptionedStream:
        """Find a stream.

        Raises:
            NoSuchStream: If none has that name.
        """
        try:
            return self._published[name].stream
        except KeyError:
            raise NoSuchStream(f"there is no feed named {name}") from None

    def all(self) -> tuple[CaptionedStream, ...]:
        """Give all streams, in the order in which they were added."""
        return tuple(published.stream for published in self._published.values())


class RecentCaptions:
    """The last so many captions."""

    def __init__(self, captions: Broadcast[CaptionEvent]) -> None:
        """Keep what is told from now on."""
        self._events: deque[CaptionEvent] = deque(maxlen=_ROOM)
        captions.listen(self._events.append)

    def after(self, id_: str) -> Sequence[CaptionEvent] | None:
        """Return what came after the caption of that id; None if it is not here any more."""
        events = list(self._events)
        for index in reversed(range(len(events))):
            if events[index].id == id_:
                return events[index + 1 :]
        return None
