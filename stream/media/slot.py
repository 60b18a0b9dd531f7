"""A place for a media process: one process after another, with what was placed there."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiortc import RTCSessionDescription

from stream.context import LOG_CONTEXT
from stream.feeds import FeedSettings
from stream.ice import SdpFragment
from stream.load import LoadLevel
from stream.media.channel import Answer, ChannelClosed, pickled
from stream.media.figures import MediaReport, MediaTotals, ProcessFigures
from stream.media.process import MediaProcess
from stream.quota import Owner
from stream.webrtc import InputKind, Offer, SessionGone

_SUSPECT_S = 60.0
_VIEWER_WEIGHT = 0.25
"""Work for a viewer of a stream that is captioned anyway, compared with a session with its own."""


@dataclass(eq=False)
class Slot:
    """A place for a media process."""

    number: int
    """From 1."""
    process: MediaProcess | None = None
    """The process that runs there now; None while it is being started."""
    starts: int = 0
    """Processes started there."""
    sessions: "dict[str, RemoteSession]" = field(default_factory=dict)
    feeds: dict[str, FeedSettings] = field(default_factory=dict)
    report: MediaReport = field(default_factory=MediaReport)
    """The latest report of the current process."""
    _ended_at: float = float("-inf")
    _ended_totals: MediaTotals = field(default_factory=MediaTotals)
    _ended_cpu_s: float = 0.0

    @property
    def weight(self) -> float:
        """Work that was placed here: 1 for a feed or a session with a source of its own."""
        viewers = sum(session.is_viewer for session in self.sessions.values())
        own = len(self.sessions) - viewers + len(self.feeds)
        return own + _VIEWER_WEIGHT * viewers

    @property
    def is_suspect(self) -> bool:
        """Whether a process ended here lately: what ended it may end the next one too."""
        return time.monotonic() - self._ended_at < _SUSPECT_S

    @property
    def level(self) -> LoadLevel:
        """Load level of the current process."""
        return self.report.level

    @property
    def totals(self) -> MediaTotals:
        """Totals of all processes that ever ran here."""
        return self._ended_totals + self.report.totals

    @property
    def figures(self) -> ProcessFigures:
        """Figures for metrics."""
        return ProcessFigures(
            name=str(self.number),
            is_running=self.process is not None,
            starts=self.starts,
            sessions=len(self.sessions),
            feeds=len(self.feeds),
            level=self.level,
            cpu_s=self._ended_cpu_s + self.report.cpu_s,
            resident_bytes=self.report.resident_bytes,
        )

    def on_gone(self) -> None:
        """Note that the process has ended; its totals are kept."""
        self.process = None
        self._ended_at = time.monotonic()
        self._ended_totals = self.totals
        self._ended_cpu_s += self.report.cpu_s
        self.report = MediaReport()

    async def request(self, name: str, payload: bytes = b"", **values: Any) -> Answer:
        """Send a request to the current process; raises ChannelClosed if there is none."""
        if self.process is None:
            raise ChannelClosed("the process has ended")
        return await self.process.channel.request(name, payload, **values)

    def notify(self, name: str, **values: Any) -> None:
        """Send a notice to the current process, if there is one."""
        if self.process:
            self.process.channel.notify(name, **values)

    async def send_feeds(self) -> None:
        """Make the current process run the feeds that were placed here, and no others."""
        await self.request("feeds", pickled(dict(self.feeds)))


class RemoteSession:
    """A session that a media process runs."""

    def __init__(self, session: str, offer: Offer, owner: Owner, slot: Slot) -> None:
        """Describe a session of the current process of a slot."""
        self.id, self.offer, self.owner, self.slot = session, offer, owner, slot

    @property
    def is_viewer(self) -> bool:
        """Whether the session watches a feed or another session's video."""
        return self.offer.input is InputKind.FEED

    async def accept(self, *, may_analyse: bool) -> RTCSessionDescription:
        """Start it; return the answer. Raises as `stream.webrtc.Sessions.accept`."""
        log_context: Mapping[str, str] = LOG_CONTEXT.get({})
        payload = pickled(self.offer, self.owner, may_analyse, dict(log_context))
        values, _ = await self.slot.request("accept", payload, session=self.id)
        return RTCSessionDescription(values["sdp"], values["type"])

    async def add_candidates(self, fragment: SdpFragment) -> None:
        """Add candidates of the client.

        Raises:
            FragmentError: If the session has too many candidates.
            IceRestart: If they do not belong to the current ICE session.
            SessionGone: If it has ended meanwhile.
        """
        await self.request("candidates", pickled(fragment))

    async def request(self, name: str, payload: bytes = b"", **values: Any) -> Answer:
        """Send a request about the session; raises SessionGone if its process has ended."""
        try:
            return await self.slot.request(name, payload, session=self.id, **values)
        except ChannelClosed:
            raise SessionGone("the session has ended; connect again") from None
