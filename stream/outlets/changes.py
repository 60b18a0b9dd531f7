"""Which captions are worth sending: those that say something else than the feed's last."""

from collections import OrderedDict
from collections.abc import Collection

from stream.caption_event import CaptionEvent
from stream.doubt import in_one_line

_MOST_FEEDS = 256


class Changes:
    """Remembers what each feed said last; of so many feeds and no more."""

    def __init__(self, feeds: Collection[str] = ()) -> None:
        """Let through the captions of some feeds, or of all when there are none."""
        self._feeds = feeds
        self._last: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def concerns(self, stream: str) -> bool:
        """Whether captions of a stream are let through."""
        return not self._feeds or stream in self._feeds

    def is_new(self, event: CaptionEvent) -> bool:
        """Whether to let a caption through; it is the feed's last from now on."""
        meaning = in_one_line(event.caption), event.caption.guess
        if not self.concerns(event.stream) or self._last.get(event.stream) == meaning:
            return False
        self._last[event.stream] = meaning
        self._last.move_to_end(event.stream)
        while len(self._last) > _MOST_FEEDS:
            self._last.popitem(last=False)
        return True

    def forget(self, stream: str) -> None:
        """Let the next caption of a stream through, whatever it says."""
        self._last.pop(stream, None)
