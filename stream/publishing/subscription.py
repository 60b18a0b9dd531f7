"""Subscriptions to published streams, and the filter for captions that differ from the last one.

A subscriber receives captions, signal changes and firings of rules in order.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from stream.broadcast import Broadcast, Subscription
from stream.captioned_stream import Signal
from stream.captioning import CaptionEvent, display_text
from stream.history import Firing
from stream.publishing.publications import Publications
from stream.publishing.published_stream import PublishedStream


@dataclass(frozen=True, slots=True)
class SignalChange:
    """The new signal of a stream; None once the stream is no longer published."""

    stream: str
    signal: Signal | None


StreamUpdate = CaptionEvent | SignalChange | Firing


@contextmanager
def subscribe(
    publications: Publications, stream: PublishedStream | None, max_size: int, last_id: str = ""
) -> Iterator[Subscription[StreamUpdate]]:
    """Subscribe to updates, starting with the current signals, captions and firings of rules.

    Args:
        publications: All published streams.
        stream: The stream to subscribe to, which counts the reader as a viewer; all if None.
        max_size: Updates queued for a slow reader; beyond that the oldest are dropped.
        last_id: Id of the caption that the reader received last, to start with those after it. If
            it is unknown, the latest caption of each stream comes first.
    """
    updates: Broadcast[StreamUpdate] = Broadcast()
    signals: dict[str, Signal] = {}
    viewing, viewed = ExitStack(), None

    def publish_signals(_: None) -> None:
        nonlocal viewed
        streams = [
            each for each in publications.all() if stream is None or each.name == stream.name
        ]
        # The feed may have moved to another server, or to this one.
        if stream and streams and streams[0] is not viewed:
            viewing.close()
            viewing.enter_context(streams[0].viewing())
            viewed = streams[0]
        current = {each.name: each.signal for each in streams}
        for name, signal in current.items():
            if signals.get(name) != signal:
                updates.publish(SignalChange(name, signal))
        for name in set(signals) - set(current):
            updates.publish(SignalChange(name, None))
        signals.clear()
        signals.update(current)

    def publish_caption(event: CaptionEvent) -> None:
        if stream is None or event.stream == stream.name:
            updates.publish(event)

    def publish_firing(firing: Firing) -> None:
        if stream is None or firing.feed == stream.name:
            updates.publish(firing)

    with ExitStack() as stack:
        stack.enter_context(viewing)
        subscription = stack.enter_context(updates.queue(max_size))
        publish_signals(None)
        for event in _first_captions(publications, stream, last_id):
            publish_caption(event)
        for firing in publications.rules.lasting.values():
            publish_firing(firing)
        stack.callback(publications.rules.firings.subscribe(publish_firing))
        stack.callback(publications.captions.subscribe(publish_caption))
        stack.callback(publications.changes.subscribe(publish_signals))
        yield subscription


def _first_captions(
    publications: Publications, stream: PublishedStream | None, last_id: str
) -> Sequence[CaptionEvent]:
    """Return the captions that the reader has not received yet."""
    missed = publications.recent.after(last_id)
    if missed is not None:
        return missed
    streams = (stream,) if stream else publications.all()
    return [each.latest_caption for each in streams if each.latest_caption]


_MAX_STREAMS = 256


class ChangeFilter:
    """Selects the captions that differ from the last one of their stream.

    Remembers a bounded number of streams.
    """

    def __init__(self, feeds: Collection[str] = ()) -> None:
        """Select captions of the given feeds; of all streams if there are none."""
        self._feeds = feeds
        self._last: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def includes(self, stream: str) -> bool:
        """Return whether captions of a stream are selected at all."""
        return not self._feeds or stream in self._feeds

    def is_new(self, event: CaptionEvent) -> bool:
        """Return whether to select a caption, and remember it as the last of its stream."""
        content = display_text(event.caption), event.caption.guess
        if not self.includes(event.stream) or self._last.get(event.stream) == content:
            return False
        self._last[event.stream] = content
        self._last.move_to_end(event.stream)
        while len(self._last) > _MAX_STREAMS:
            self._last.popitem(last=False)
        return True

    def forget(self, stream: str) -> None:
        """Forget the last caption of a stream, so that its next one is selected."""
        self._last.pop(stream, None)
