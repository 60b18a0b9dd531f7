"""When a session is to end: its peer never came, or went, or its time is over.

One live session: a peer that sends pictures, or watches a feed, until it ends.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Coroutine
from typing import Any

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.exceptions import OperationError

from stream.captioned_stream import CaptionedStream, Signal, SignalState
from stream.context import Surroundings
from stream.data_channel import LABEL, Client
from stream.ice import (
    MOST_CANDIDATES,
    FragmentError,
    IceRestart,
    SdpFragment,
    ice_credentials,
    ice_servers,
)
from stream.publishing import Publications
from stream.settings import StreamSettings
from stream.sources import Intake, IntakeEnded, open_source, read_source, read_track
from stream.video import AnnotatedTrack, ViewerTrack, send_shared
from stream.webrtc.offer import InputKind, Offer, OfferError

_TICK_S = 1.0
_FAREWELL_S = 0.1
_CLOSE_S = 2.0
_ID_BYTES = 16

logger = logging.getLogger(__name__)


class Ended(Exception):
    """The session is over; the message is for the client."""

    def __init__(self, message: str, code: str = "session-ended") -> None:
        """End with one of the codes of `error`."""
        super().__init__(message)
        self.code = code


class SessionLimits:
    """Watches one session, from now on."""

    def __init__(
        self, peer: RTCPeerConnection, intake: Intake | None, settings: StreamSettings
    ) -> None:
        """Watch a peer, and its pictures if it is to send any."""
        self._peer, self._intake, self._settings = peer, intake, settings
        self._heard_at = self._begun = time.monotonic()
        self._heard_bytes = 0

    async def met(self) -> Ended | None:
        """Return why the session is to end, or None; to be asked every second or so."""
        await self._listen()
        settings, now = self._settings, time.monotonic()
        if self._peer.connectionState != "connected":
            late = now - self._begun > settings.connect_s
            return Ended("the connection was not made in time") if late else None
        if now - self._heard_at > settings.vanished_s:
            return Ended("nothing was heard of the peer any more")
        if self._intake and now - self._intake.newest_at > settings.idle_s:
            return Ended(f"no picture came for {settings.idle_s:g} s")
        if now - self._begun > settings.session_s:
            return Ended(f"a session may last {settings.session_s:g} s")
        return None

    async def _listen(self) -> None:
        """Take note of whether anything at all came from the peer: media, reports, messages."""
        report = await self._peer.getStats()
        heard = sum(part.bytesReceived for part in report.values() if part.type == "transport")
        if heard != self._heard_bytes:
            self._heard_bytes, self._heard_at = heard, time.monotonic()


class Session:
    """A session, from an accepted offer on. `run` it; it frees all that it holds when it ends."""

    id: str
    """Not to be guessed: who knows it may have the session's kept pictures."""
    name: str
    """For logs: the beginning of the id."""
    offer: Offer
    """How it began."""

    def __init__(
        self, offer: Offer, shared: Surroundings, publications: Publications, *, may_analyse: bool
    ) -> None:
        """Prepare to answer the offer, of a client that may ask for analyses, or may not.

        Raises:
            NoSuchStream: If it wants to watch what is not there.
            NameTaken: If it wants to publish under a name that is taken.
        """
        self.id = secrets.token_urlsafe(_ID_BYTES)
        self.name = self.id[:6]
        self.offer, self._shared, self._publications = offer, shared, publications
        self._stream = self._find_stream()
        shares = self.watches or bool(offer.publish)
        self._returned: AnnotatedTrack | ViewerTrack = (
            self._stream.shared_video.watch() if shares else self._stream.track
        )
        self.client = Client(
            self.id,
            self._stream,
            shared,
            owns=not self.watches,
            may_analyse=may_analyse,
            returned=lambda: self._returned.returned,
            spawn=self._spawn,
        )
        self._over: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[object]] = set()
        self._trickled = 0
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=ice_servers(shared.ice)))
        self._limits = SessionLimits(
            self._peer, None if self.watches else self._stream.intake, shared.settings
        )
        self._peer.on("track", self._on_track)
        self._peer.on("datachannel", self._on_channel)
        self._peer.on("connectionstatechange", self._on_connection_state)

    @property
    def watches(self) -> bool:
        """Whether the pictures are another's."""
        return self.offer.input is InputKind.FEED

    async def answer(self) -> RTCSessionDescription:
        """Answer the offer.

        Raises:
            OfferError: If no codec or transport is common to both sides.
            NoPortFree: If there is no UDP port left for it.
        """
        offered = self.offer.description
        admitted = self._shared.addresses.admit(offered.sdp)
        try:
            self._prepare_sharing()
            await self._peer.setRemoteDescription(RTCSessionDescription(admitted, offered.type))
            self._choose_media()
            await self._peer.setLocalDescription()
        except OperationError as problem:
            told = "no codec is common: offer VP8, or H.264 in Baseline, and Opus for sound"
            raise OfferError("no-codec", told) from problem
        except Exception as problem:
            # What aiortc raises at a description that it cannot use has no common class.
            raise OfferError("bad-sdp", f"the offer cannot be answered: {problem!r}") from problem
        answer, turn = self._peer.localDescription, self._shared.ice.turn
        self._shared.addresses.check_gathered(answer.sdp, relayed=bool(turn))
        return answer

    async def run(self) -> None:
        """Live until the peer goes, a limit is reached, or the task is cancelled."""
        self._spawn(self._watch())
        self._spawn(self._watch_stream() if self.watches else self._stream.run())
        if self.offer.input is InputKind.DEMO:
            self._spawn(self._read(self._play_demo))
        try:
            ended = await self._over
            logger.info("session %s ended: %s", self.name, ended)
            await self._say_farewell(ended)
        finally:
            await self.close()

    async def trickle(self, fragment: SdpFragment) -> None:
        """Take candidates that come after the offer; those that may not be used are dropped.

        Raises:
            FragmentError: If the session has too many by now.
            IceRestart: If they are not for the connection that there is.
        """
        if fragment.credentials != ice_credentials(self.offer.description.sdp):
            raise IceRestart("ICE is not restarted here: begin another session")
        self._trickled += len(fragment.candidates)
        if self._trickled > MOST_CANDIDATES:
            raise FragmentError(f"a session may have {MOST_CANDIDATES} candidates at most")
        admitted = [c for c in fragment.candidates if self._shared.addresses.admits(c.ip)]
        await asyncio.gather(*map(self._peer.addIceCandidate, admitted))

    async def close(self) -> None:
        """Free everything; safe to call more than once."""
        # Whatever still comes in begins nothing new.
        self.end(Ended("the session was closed"))
        self.client.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._returned.stop()
        if not self.watches:
            self._publications.remove(self._stream)
            await self._stream.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._peer.close(), _CLOSE_S)

    def end(self, ended: Ended) -> None:
        """End the session, and tell the client why; what ends it first is what is told."""
        if not self._over.done():
            self._over.set_result(ended)

    def _find_stream(self) -> CaptionedStream:
        if self.offer.input is InputKind.FEED:
            return self._publications.find(self.offer.feed)
        stream = CaptionedStream(self.offer.publish or self.id, self._shared)
        stream.signal = Signal(SignalState.LIVE, time.time())
        if not self.offer.receives:
            # Who gets nothing back chooses nothing: as of a feed, and its viewers may want no more.
            stream.maps.explanations = "gradcam"
        if self.offer.publish:
            self._publications.add(stream)
        return stream

    async def _watch_stream(self) -> None:
        with self._stream.watched():
            await self._stream.closed.wait()
        self.end(Ended("this feed is watched no more: it was taken away", "source-ended"))

    async def _play_demo(self) -> None:
        await read_source(await asyncio.to_thread(open_source, "demo"), self._stream.intake)

    def _prepare_sharing(self) -> None:
        if isinstance(self._returned, ViewerTrack) and self.offer.receives:
            send_shared(self._peer, self._returned, "sendonly" if self.watches else "sendrecv")

    def _choose_media(self) -> None:
        for transceiver in self._peer.getTransceivers():
            if transceiver.kind != "video":
                # A track that is received and not read would grow without end.
                transceiver.direction = "inactive"
        if self.offer.receives and isinstance(self._returned, AnnotatedTrack):
            sender = self._peer.addTrack(self._returned)
            if self.offer.input is not InputKind.PEER:
                self._only_send(sender)

    def _only_send(self, sender: RTCRtpSender) -> None:
        # A peer that watches may offer to send too: nobody would read it.
        for transceiver in self._peer.getTransceivers():
            if transceiver.sender is sender:
                transceiver.direction = "sendonly"

    def _spawn(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        task = asyncio.create_task(work, name=f"session {self.name}")
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()):
            logger.error("session %s failed", self.name, exc_info=problem)
            self.end(Ended("something went wrong on the server"))

    async def _say_farewell(self, ended: Ended) -> None:
        connected = self._peer.connectionState == "connected"
        if connected and self.client.error(ended.code, str(ended)):
            await asyncio.sleep(_FAREWELL_S)

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "video" and self.offer.input is InputKind.PEER:
            self._spawn(self._read(lambda: read_track(track, self._stream.intake)))

    async def _read(self, read: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await read()
        except IntakeEnded as ended:
            self.end(Ended(str(ended), "source-ended"))

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != LABEL or not self.client.open(channel):
            channel.close()

    def _on_connection_state(self) -> None:
        if self._peer.connectionState in ("closed", "failed"):
            self.end(Ended("the connection was closed"))

    async def _watch(self) -> None:
        """Every second: tell the client how it goes, and end the session when a limit is met."""
        while True:
            await asyncio.sleep(_TICK_S)
            self.client.tick()
            if ended := await self._limits.met():
                self.end(ended)
                return
