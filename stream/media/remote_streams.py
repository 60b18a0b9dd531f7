"""The published streams of media processes, as the front's readers see them."""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from stream.captioned_stream import Signal, SignalState
from stream.captioning import CaptionEvent, FrameNotFound
from stream.feeds import FeedSettings
from stream.media.channel import ChannelClosed
from stream.media.slot import Slot
from stream.publishing import (
    CaptionedElsewhere,
    NameTaken,
    NoSuchStream,
    Publications,
    RemoteStream,
    StreamReport,
)
from stream.webrtc import ServerFull

_START_S = 10.0
"""How long a viewer waits for the process of a feed."""

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Published:
    stream: RemoteStream
    report: StreamReport
    slot: Slot | None
    """Whose process captions it; None while a feed waits for a process."""
    viewers: int = 0
    """Viewers at the front."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it has a process, or is not published any more."""


class RemoteStreams:
    """Publishes the streams of media processes at the front."""

    def __init__(self, publications: Publications) -> None:
        """Start without streams."""
        self._publications = publications
        self._published: dict[str, _Published] = {}
        self._waiting: dict[tuple[str, Slot], StreamReport] = {}
        """Streams whose name another stream has."""
        self._reserved: set[str] = set()

    @contextlib.contextmanager
    def reserved(self, name: str) -> Iterator[None]:
        """Keep a name for a session that is being started.

        Raises:
            NameTaken: If the name is in use.
        """
        in_use = name in self._reserved or any(
            stream.name == name for stream in self._publications.all()
        )
        if in_use:
            raise NameTaken(f"the name {name} is in use; choose another name")
        self._reserved.add(name)
        try:
            yield
        finally:
            self._reserved.discard(name)

    async def slot_of(self, name: str) -> Slot:
        """Return the slot whose process captions a stream; wait for a process that is starting.

        Raises:
            NoSuchStream: If there is no such stream.
            CaptionedElsewhere: If another server captions it.
            ServerFull: If its process is not ready in time.
        """
        stream = self._publications.find(name)
        published = self._published.get(name)
        if published is None or published.stream is not stream:
            assert isinstance(stream, RemoteStream)
            raise CaptionedElsewhere(stream)
        if published.slot is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(published.changed.wait(), _START_S)
        if published.slot is None:
            self._publications.find(name)
            raise ServerFull(f"the process that captions {name} is being started")
        return published.slot

    def expect(self, name: str, feed: FeedSettings) -> None:
        """Publish a feed before its process does, so that readers find it at once."""
        if name not in self._published:
            report = StreamReport(
                feed.title or name,
                "feed",
                feed.interval_s,
                feed.explanations,
                0,
                Signal(SignalState.CONNECTING),
            )
            with contextlib.suppress(NameTaken):
                self._publish(None, name, report)

    def on_published(self, slot: Slot, name: str, values: dict[str, Any]) -> None:
        """Handle a process's report of a stream, the first one or a later one."""
        report = StreamReport.from_json(values)
        published = self._published.get(name)
        if published is None:
            self._publish_or_wait(slot, name, report)
        elif published.slot is None:
            published.slot = slot
            published.changed.set()
            if published.viewers:
                slot.notify("watch", stream=name, viewers=published.viewers)
            self._update(published, report)
        elif published.slot is slot:
            self._update(published, report)
        else:
            self._wait(slot, name, report)

    def on_unpublished(self, slot: Slot, name: str) -> None:
        """Handle the end of a stream."""
        self._waiting.pop((name, slot), None)
        published = self._published.get(name)
        if published and published.slot is slot:
            self._remove(name)

    def on_caption(self, slot: Slot, values: dict[str, Any]) -> None:
        """Publish a caption of a stream."""
        event = CaptionEvent.from_json(values)
        published = self._published.get(event.stream)
        if published and published.slot is slot:
            published.stream.receive(event)

    def on_gone(self, slot: Slot, feeds: Collection[str]) -> None:
        """Handle the end of a process.

        Args:
            slot: Its slot.
            feeds: Names of the feeds that another process will run; their readers stay.
        """
        for key in [key for key in self._waiting if key[1] is slot]:
            del self._waiting[key]
        for name, published in list(self._published.items()):
            if published.slot is not slot:
                continue
            if name not in feeds or published.stream.kind != "feed":
                self._remove(name)
                continue
            published.slot = None
            published.changed.clear()
            message = "the process that captioned it stopped; it is being restarted"
            signal = Signal(SignalState.LOST, message=message)
            self._update(
                published, replace(published.report, signal=signal, viewers=published.viewers)
            )

    def drop_feeds(self, kept: Collection[str]) -> None:
        """Stop publishing feeds that wait for a process and are none of these."""
        for name, published in list(self._published.items()):
            if published.slot is None and name not in kept:
                self._remove(name)

    def _publish(self, slot: Slot | None, name: str, report: StreamReport) -> None:
        def watch(viewers: int) -> None:
            published.viewers = viewers
            if published.slot:
                published.slot.notify("watch", stream=name, viewers=viewers)

        async def picture() -> bytes:
            return await _picture(published, "picture", stream=name)

        async def small_picture(seq: int) -> bytes:
            return await _picture(published, "small_picture", stream=name, seq=seq)

        stream = RemoteStream(
            name, report, read_picture=picture, read_small_picture=small_picture, watch=watch
        )
        published = _Published(stream, report, slot)
        self._publications.add(stream)
        self._published[name] = published

    def _update(self, published: _Published, report: StreamReport) -> None:
        published.report = report
        published.stream.update(report)

    def _publish_or_wait(self, slot: Slot, name: str, report: StreamReport) -> None:
        try:
            self._publish(slot, name, report)
        except NameTaken:
            self._wait(slot, name, report)

    def _wait(self, slot: Slot, name: str, report: StreamReport) -> None:
        if (name, slot) not in self._waiting:
            logger.warning("%s %s is not published: its name is in use", report.kind, name)
        self._waiting[name, slot] = report

    def _remove(self, name: str) -> None:
        removed = self._published.pop(name)
        self._publications.remove(removed.stream)
        removed.slot = None
        removed.changed.set()
        for (waiting, slot), report in list(self._waiting.items()):
            if waiting == name:
                del self._waiting[waiting, slot]
                self._publish_or_wait(slot, name, report)


async def _picture(published: _Published, request: str, **values: Any) -> bytes:
    if published.slot is None:
        raise FrameNotFound("no frame has been captioned yet")
    try:
        return (await published.slot.request(request, **values)).payload
    except (ChannelClosed, NoSuchStream):
        raise FrameNotFound("no frame has been captioned yet") from None
