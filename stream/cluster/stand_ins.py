"""Stand-ins: the streams of other servers, as this server publishes them."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Protocol

from stream.captioned_stream import Signal, SignalState
from stream.captioning import CaptionEvent
from stream.cluster.membership import SINKS, ClusterView, HeldStream
from stream.feeds import FeedSettings
from stream.publishing import NoSuchStream, Publications, RemoteStream, StreamReport

_UNHELD = "no server captions this feed now; another one takes over within seconds"
_CUT_OFF = "this server does not reach the cluster's database"


class ReadPicture(Protocol):
    """Reads the frame of a stream's latest caption from the server that captions it."""

    async def __call__(self, stream: RemoteStream) -> bytes:
        """Return a JPEG; raises FrameNotFound."""


class StandIns:
    """Keeps a stand-in for each stream of another server, and for each feed, whoever has it."""

    def __init__(
        self,
        publications: Publications,
        read_picture: ReadPicture,
        on_viewers: Callable[[Mapping[str, int]], None],
    ) -> None:
        """Start without stand-ins.

        Args:
            publications: Where to publish them.
            read_picture: Reads a picture from another server.
            on_viewers: Called with the number of viewers here of each, when that changes.
        """
        self._publications, self._read_picture = publications, read_picture
        self._on_viewers = on_viewers
        self._streams: dict[str, RemoteStream] = {}
        self._holders: dict[str, str] = {}
        self._viewers: dict[str, int] = {}
        self._guests: dict[str, ExitStack] = {}
        self._guest_counts: dict[str, tuple[object, int]] = {}
        self.is_delivering = False
        """Whether a caption of another server is being published."""

    def update(
        self, view: ClusterView, feeds: Mapping[str, FeedSettings], *, is_cut_off: bool
    ) -> None:
        """Follow what the database has.

        Args:
            view: The other servers and their streams.
            feeds: The feeds of the configuration.
            is_cut_off: Whether the view is old, as the database is away.
        """
        for name in (feeds.keys() | view.streams.keys()) - {SINKS}:
            held = view.streams.get(name)
            self._holders[name] = held.server if held else ""
            report = self._report(name, held, feeds.get(name), is_cut_off=is_cut_off)
            if report:
                self._set(name, report, view.urls.get(held.server, "") if held else "")
        if not is_cut_off:
            for name in self._streams.keys() - feeds.keys() - view.streams.keys():
                self._publications.remove_stand_in(self._streams.pop(name))
                self._holders.pop(name, None)
        self._count_guests(view.viewers)

    def receive(self, event: CaptionEvent) -> None:
        """Publish a caption of another server."""
        stream = self._streams.get(event.stream)
        self.is_delivering = True
        try:
            if stream and self._publications.find(event.stream) is stream:
                stream.receive(event)
            else:
                # The last captions of a stream that has ended, or that this server has now.
                self._publications.captions.publish(event)
        finally:
            self.is_delivering = False

    def restore(self, event: CaptionEvent) -> None:
        """Take over a caption from before this server's start, without publishing it."""
        if stream := self._streams.get(event.stream):
            stream.latest_caption = event

    def close(self) -> None:
        """Remove all stand-ins."""
        for guests in self._guests.values():
            guests.close()
        for stream in self._streams.values():
            self._publications.remove_stand_in(stream)
        self._streams.clear()

    def _set(self, name: str, report: StreamReport, url: str) -> None:
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = RemoteStream(
                name,
                report,
                url=url,
                read_picture=lambda: self._read_picture(self._streams[name]),
                watch=lambda viewers: self._watch(name, viewers),
            )
            self._publications.add_stand_in(stream)
        stream.url = url
        stream.update(report)

    def _report(
        self, name: str, held: HeldStream | None, feed: FeedSettings | None, *, is_cut_off: bool
    ) -> StreamReport | None:
        """Return the state of a stream; None if it is not known yet."""
        known = self._streams.get(name)
        if held and held.report and not is_cut_off:
            return StreamReport.from_json(held.report)
        if feed is None:
            return None
        if held and not is_cut_off:
            signal = Signal(SignalState.CONNECTING)
        else:
            signal = Signal(SignalState.LOST, message=_CUT_OFF if is_cut_off else _UNHELD)
        if known and (known.signal.state, known.signal.message) == (signal.state, signal.message):
            signal = known.signal
        return StreamReport(
            feed.title or name, "feed", feed.interval_s, feed.explanations, 0, signal
        )

    def _watch(self, name: str, viewers: int) -> None:
        self._viewers[name] = viewers
        self._viewers = {name: count for name, count in self._viewers.items() if count}
        self._on_viewers(self._viewers)

    def _count_guests(self, viewers: Mapping[str, int]) -> None:
        """Count the viewers on other servers as viewers of the streams here."""
        for name in viewers.keys() | self._guests.keys():
            try:
                stream = self._publications.find(name)
            except NoSuchStream:
                stream = None
            count = 0
            if stream and not self._publications.is_stand_in(stream):
                count = viewers.get(name, 0)
            if self._guest_counts.get(name) == (stream, count):
                continue
            if guests := self._guests.pop(name, None):
                guests.close()
            self._guest_counts[name] = stream, count
            if stream and count:
                guests = self._guests[name] = ExitStack()
                for _ in range(count):
                    guests.enter_context(stream.viewing())
        for name in self._guest_counts.keys() - self._guests.keys():
            del self._guest_counts[name]
