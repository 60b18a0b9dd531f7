"""What is new of published streams, for one reader: captions and signals, in order."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from stream.broadcast import Broadcast, Subscription
from stream.caption_event import CaptionEvent
from stream.captioned_stream import CaptionedStream
from stream.publications import Publications
from stream.signal import Signal


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
