"""The newest captions of all published streams, for a reader who was away for a moment."""

from collections import deque
from collections.abc import Sequence

from stream.broadcast import Broadcast
from stream.caption_event import CaptionEvent

_ROOM = 200


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
