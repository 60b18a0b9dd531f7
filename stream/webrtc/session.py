"""One live session: a peer that sends video or watches a feed, and the limits that end it."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.exceptions import OperationError

from stream.captioned_stream import CaptionedStream, Signal, SignalState
from stream.context import StreamContext
from stream.data_channel import LABEL, Client
from stream.ice import (
    MAX_CANDIDATES,
    FragmentError,
    IceRestart,
    SdpFragment,
    ice_servers,
    parse_ice_credentials,
    parse_named_candidates,
)
from stream.publishing import Publications
from stream.quota import SERVER, Owner
from stream.settings import StreamSettings, is_ip_address
from stream.sources import Ingest, IngestEnded, ingest_source, ingest_track, open_source
from stream.video import AnnotatedTrack, ViewerTrack, send_shared_video
from stream.webrtc.offer import InputKind, Offer, OfferError

_TICK_S = 1.0
_ERROR_DELIVERY_S = 0.1
_CLOSE_S = 2.0
_ID_BYTES = 16

logger = logging.getLogger(__name__)


def new_session_id() -> str:
    """Return an unguessable id for a session."""
    return secrets.token_urlsafe(_ID_BYTES)


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """Why a session ends."""

    message: str
    """Message for the client."""
    code: str = "session-ended"
    """One of the error codes of the data channel."""


class SessionLimits:
    """The limits of one session, measured from now on."""

    def __init__(
        self, peer: RTCPeerConnection, ingest: Ingest | None, settings: StreamSettings
    ) -> None:
        """Measure a peer, and its incoming video unless that is None."""
        self._peer, self._ingest, self._settings = peer, ingest, settings
        self._active_at = self._started = time.monotonic()
        self._received_bytes = 0

    async def check(self) -> SessionEnd | None:
        """Return why the session has to end, or None; call it about every second."""
        await self._measure_activity()
        settings, now = self._settings, time.monotonic()
        if self._peer.connectionState != "connected":
            is_late = now - self._started > settings.connect_s
            message = f"the connection was not established within {settings.connect_s:g} s"
            return SessionEnd(message) if is_late else None
        if now - self._active_at > settings.vanished_s:
            return SessionEnd("the peer stopped responding")
        if self._ingest and now - self._ingest.last_frame_at > settings.idle_s:
            return SessionEnd(f"no video arrived for {settings.idle_s:g} s")
        if now - self._started > settings.session_s:
            return SessionEnd(f"the session reached its time limit of {settings.session_s:g} s")
        return None

    async def _measure_activity(self) -> None:
        """Note whether the peer has sent anything at all: media, reports or messages."""
        report = await self._peer.getStats()
        received = sum(part.bytesReceived for part in report.values() if part.type == "transport")
        if received != self._received_bytes:
            self._received_bytes, self._active_at = received, time.monotonic()


class Session:
    """A session, from an accepted offer on. `run` it; it frees its resources when it ends."""

    id: str
    """Unguessable, because it grants access to the session's kept frames."""
    name: str
    """Short name for logs: the beginning of the id."""
    offer: Offer
    """The offer that started it."""

    def __init__(
        self,
        offer: Offer,
        context: StreamContext,
        publications: Publications,
        *,
        owner: Owner = SERVER,
        may_analyse: bool,
        session_id: str = "",
    ) -> None:
        """Prepare to answer an offer.

        Args:
            offer: The offer.
            context: Settings and services of the server.
            publications: Published streams, for the session to watch one or be published itself.
            owner: Whose session it is, for the quota of explanations.
            may_analyse: Whether the client may request analyses.
            session_id: Its id, from `new_session_id`; a new one by default.

        Raises:
            NoSuchStream: If the feed to watch does not exist.
            CaptionedElsewhere: If another process captions it.
            NameTaken: If the name to publish under is in use.
        """
        self.id = session_id or new_session_id()
        self.name = self.id[:6]
        self.offer, self._context, self._publications = offer, context, publications
        self._stream = self._find_stream()
        is_shared = self.is_viewer or bool(offer.publish)
        stream, captioned = self._stream, offer.captioned
        video = stream.shared_video if captioned else stream.plain_video
        track = stream.track if captioned else stream.plain_track
        self._returned: AnnotatedTrack | ViewerTrack = (
            video.watch(offer.video.shared_codec) if is_shared else track
        )
        self.client = Client(
            self.id,
            stream,
            context,
            track=track,
            owns=not self.is_viewer,
            shared=is_shared,
            owner=owner,
            may_analyse=may_analyse,
            returned=lambda: self._returned.returned,
            spawn=self._spawn,
        )
        self._end: asyncio.Future[SessionEnd] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[object]] = set()
        self._candidates = 0
        # Otherwise aiortc lets a second section of a kind keep a transport that bundling closes.
        policy = RTCBundlePolicy.MAX_COMPAT
        servers = ice_servers(context.ice)
        self._peer = RTCPeerConnection(RTCConfiguration(servers, bundlePolicy=policy))
        self._limits = SessionLimits(
            self._peer, None if self.is_viewer else self._stream.ingest, context.settings
        )
        self._peer.on("track", self._on_track)
        self._peer.on("datachannel", self._on_channel)
        self._peer.on("connectionstatechange", self._on_connection_state)

    @property
    def is_viewer(self) -> bool:
        """Whether the session watches a feed or another session's video."""
        return self.offer.input is InputKind.FEED

    async def answer(self) -> RTCSessionDescription:
        """Create the answer to the offer.

        Raises:
            OfferError: If there is no codec or transport in common.
            NoPortFree: If no UDP port is free.
        """
        offer = self.offer.description
        filtered = self._context.addresses.filter_candidates(offer.sdp)
        try:
            self._share_video()
            await self._peer.setRemoteDescription(RTCSessionDescription(filtered, offer.type))
            self._choose_media()
            await self._peer.setLocalDescription()
        except OperationError as problem:
            message = "no codec in common; offer VP8 or H.264 Baseline, and Opus for audio"
            raise OfferError("no-codec", message) from problem
        except Exception as problem:
            # aiortc's exceptions for an unusable description have no common class.
            raise OfferError("bad-sdp", f"the offer cannot be answered: {problem!r}") from problem
        answer, turn = self._peer.localDescription, self._context.ice.turn
        self._context.addresses.check_answer(answer.sdp, relayed=bool(turn))
        self._resolve(parse_named_candidates(offer.sdp))
        return self.offer.complete_answer(answer)

    async def run(self) -> None:
        """Run until the peer disconnects, a limit is reached, or the task is cancelled."""
        self._spawn(self._tick())
        self._spawn(self._watch_stream() if self.is_viewer else self._stream.run())
        if self.offer.input is InputKind.DEMO:
            self._spawn(self._ingest(self._play_demo))
        try:
            end = await self._end
            logger.info("session %s ended: %s", self.name, end.message)
            await self._send_end(end)
        finally:
            await self.close()

    async def add_candidates(self, fragment: SdpFragment) -> None:
        """Add candidates that arrive after the offer; those that are not allowed are ignored.

        Multicast DNS names are resolved in the background.

        Raises:
            FragmentError: If the session has too many candidates.
            IceRestart: If they do not belong to the current ICE session.
        """
        if fragment.credentials != parse_ice_credentials(self.offer.description.sdp):
            raise IceRestart("ICE restart is not supported; start a new session")
        self._candidates += len(fragment.candidates)
        if self._candidates > MAX_CANDIDATES:
            raise FragmentError(f"the session has more than {MAX_CANDIDATES} candidates")
        addresses = [c for c in fragment.candidates if is_ip_address(c.ip)]
        allowed = [c for c in addresses if self._context.addresses.allows(c.ip)]
        await asyncio.gather(*map(self._peer.addIceCandidate, allowed))
        self._resolve(fragment.candidates)

    async def close(self) -> None:
        """Free all resources; safe to call more than once."""
        # So that events that still arrive start nothing new.
        self.end(SessionEnd("the session was closed"))
        self.client.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._returned.stop()
        if not self.is_viewer:
            self._publications.remove(self._stream)
            await self._stream.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._peer.close(), _CLOSE_S)

    def end(self, end: SessionEnd) -> None:
        """End the session, and send the client the reason; only the first reason counts."""
        if not self._end.done():
            self._end.set_result(end)

    def _find_stream(self) -> CaptionedStream:
        if self.offer.input is InputKind.FEED:
            return self._publications.find_here(self.offer.feed)
        stream = CaptionedStream(self.offer.publish or self.id, self._context)
        stream.signal = Signal(SignalState.LIVE, time.time())
        if not self.offer.receives:
            # A publisher that receives nothing cannot choose heat maps: the default of feeds.
            stream.maps.explanations = "words"
        if self.offer.publish:
            self._publications.add(stream)
        return stream

    async def _watch_stream(self) -> None:
        with self._stream.viewing():
            await self._stream.closed.wait()
        self.end(SessionEnd("the feed is no longer available", "source-ended"))

    async def _play_demo(self) -> None:
        await ingest_source(await asyncio.to_thread(open_source, "demo"), self._stream.ingest)

    def _share_video(self) -> None:
        if isinstance(self._returned, ViewerTrack) and self.offer.receives:
            direction: Any = "sendonly" if self.is_viewer else "sendrecv"
            transceiver = send_shared_video(self._peer, self._returned, direction)
            # By itself aiortc would use it for the first section with video, active or not.
            transceiver._set_mid(self.offer.video.mid)
            transceiver._set_mline_index(self.offer.video.index)

    def _choose_media(self) -> None:
        for transceiver in self._peer.getTransceivers():
            if transceiver.mid != self.offer.video.mid:
                # The queue of a received track that is never read grows without bound.
                transceiver.direction = "inactive"
            elif self.offer.receives and isinstance(self._returned, AnnotatedTrack):
                transceiver.sender.replaceTrack(self._returned)
                # A peer that only watches may offer to send too, but its video would not be read.
                sends = self.offer.input is InputKind.PEER
                transceiver.direction = "sendrecv" if sends else "sendonly"

    def _resolve(self, candidates: Iterable[RTCIceCandidate]) -> None:
        """Add the candidates that are multicast DNS names, in the background.

        The connection seldom needs them, because the client's own checks reveal its address; but
        they let a firewall of this machine expect those. Resolving an unknown name takes a second.
        """
        for candidate in candidates:
            if not is_ip_address(candidate.ip) and self._context.addresses.allows(candidate.ip):
                self._spawn(self._add_name(candidate))

    async def _add_name(self, candidate: RTCIceCandidate) -> None:
        try:
            await self._peer.addIceCandidate(candidate)
        except OSError as problem:
            logger.info("multicast DNS is not available: %s", problem)

    def _spawn(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        task = asyncio.create_task(work, name=f"session {self.name}")
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()):
            logger.error("session %s failed", self.name, exc_info=problem)
            self.end(SessionEnd("internal error; try again, or see the server's log"))

    async def _send_end(self, end: SessionEnd) -> None:
        is_connected = self._peer.connectionState == "connected"
        if is_connected and self.client.send_error(end.code, end.message):
            await asyncio.sleep(_ERROR_DELIVERY_S)

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "video" and self.offer.input is InputKind.PEER:
            self._spawn(self._ingest(lambda: ingest_track(track, self._stream.ingest)))

    async def _ingest(self, read: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await read()
        except IngestEnded as ended:
            self.end(SessionEnd(str(ended), "source-ended"))

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != LABEL or not self.client.open(channel):
            channel.close()

    def _on_connection_state(self) -> None:
        if self._peer.connectionState in ("closed", "failed"):
            self.end(SessionEnd("the connection was closed"))

    async def _tick(self) -> None:
        """Send statistics to the client every second, and end the session at a limit."""
        while True:
            await asyncio.sleep(_TICK_S)
            self.client.tick()
            if end := await self._limits.check():
                self.end(end)
                return
