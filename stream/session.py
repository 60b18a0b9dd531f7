"""One live session: a peer's pictures in, annotated video and captions out, until it ends."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Coroutine
from typing import Any

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)

from inference.engine import EngineState
from inference.explanations.map import Map
from stream import messages
from stream.annotated_track import AnnotatedTrack
from stream.asked_analyses import AskedAnalyses
from stream.asked_explanations import AskedExplanations
from stream.caption_channel import LABEL, CaptionChannel
from stream.doubt import worded
from stream.frame_rates import FrameRates
from stream.intake import Intake, IntakeEnded, read_source, read_track
from stream.kept_frames import FrameGone, KeptFrames
from stream.live_maps import LiveMaps
from stream.offer import InputKind, Offer, OfferError
from stream.overlay import Subtitle
from stream.recent_pictures import RecentPictures
from stream.sampler import Sampler
from stream.session_limits import Ended, SessionLimits
from stream.sources import open_source
from stream.stream_captioner import CaptionedFrame
from stream.surroundings import Surroundings

_TICK_S = 1.0
_FAREWELL_S = 0.1
_CLOSE_S = 2.0
_STALE_INTERVALS = 3
_STALE_S = 3.0
_ID_BYTES = 16

logger = logging.getLogger(__name__)


class Session:
    """A session, from an accepted offer on. `run` it; it frees all that it holds when it ends."""

    id: str
    """Not to be guessed: who knows it may have the session's kept pictures."""
    name: str
    """For logs: the beginning of the id."""

    def __init__(self, offer: Offer, shared: Surroundings) -> None:
        """Prepare to answer the offer."""
        self.id = secrets.token_urlsafe(_ID_BYTES)
        self.name = self.id[:6]
        self._offer, self._shared, self._settings = offer, shared, shared.settings
        self._intake, self._pictures = Intake(), RecentPictures()
        self._sampler = Sampler(
            self._intake.to_caption,
            shared.captions,
            self._publish,
            shared.sampling,
            shared.settings.interval_s,
            shared.settings.beam_width,
            lambda: self._maps.gradcam_is_due(),
            self._pictures,
        )
        self._maps = LiveMaps(
            shared.captions,
            shared.settings.explanation_share,
            lambda: self._sampler.interval_s,
            self._tell,
            self._spawn,
        )
        self.frames = KeptFrames(shared.studying)
        self._explanations = AskedExplanations(
            shared.captions, self.frames, shared.settings.explanation_s, self._spawn
        )
        self._analyses = AskedAnalyses(shared.analyses, self.frames, self._pictures, self._spawn)
        self._returned = AnnotatedTrack(
            self._intake.to_return, self._subtitle, self._heat, shared.painting, shared.sampling
        )
        self._channel: CaptionChannel | None = None
        self._newest: CaptionedFrame | None = None
        self._sent = self._unsent = 0
        self._rates = FrameRates()
        self._over: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[object]] = set()
        # An empty list, since aiortc takes none at all as leave to ask a public STUN server.
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._limits = SessionLimits(self._peer, self._intake, shared.settings)
        self._peer.on("track", self._on_track)
        self._peer.on("datachannel", self._on_channel)
        self._peer.on("connectionstatechange", self._on_connection_state)

    async def answer(self) -> RTCSessionDescription:
        """Answer the offer.

        Raises:
            OfferError: If no codec or transport is common to both sides.
        """
        offered = self._offer.description
        admitted = self._shared.addresses.admit(offered.sdp)
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(admitted, offered.type))
            self._choose_media()
            await self._peer.setLocalDescription()
        except Exception as problem:
            # What aiortc raises at a description that it cannot use has no common class.
            raise OfferError("bad-sdp", f"the offer cannot be answered: {problem!r}") from problem
        return self._peer.localDescription

    async def run(self) -> None:
        """Live until the peer goes, a limit is reached, or the task is cancelled."""
        unsubscribe = self._shared.captions.subscribe(self._on_captioner_state)
        self._spawn(self._sampler.run())
        self._spawn(self._watch())
        if self._offer.input is InputKind.DEMO:
            self._spawn(self._read(self._play_demo()))
        try:
            ended = await self._over
            logger.info("session %s ended: %s", self.name, ended)
            await self._say_farewell(ended)
        finally:
            unsubscribe()
            await self.close()

    async def _play_demo(self) -> None:
        await read_source(await asyncio.to_thread(open_source, "demo"), self._intake)

    async def close(self) -> None:
        """Free everything; safe to call more than once."""
        # Whatever still comes in begins nothing new.
        self._end(Ended("the session was closed"))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.frames.clear()
        self._pictures.clear()
        self._newest = None
        self._returned.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._peer.close(), _CLOSE_S)

    def _choose_media(self) -> None:
        for transceiver in self._peer.getTransceivers():
            if transceiver.kind != "video":
                # A track that is received and not read would grow without end.
                transceiver.direction = "inactive"
        self._peer.addTrack(self._returned)

    def _spawn(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        task = asyncio.create_task(work, name=f"session {self.name}")
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()):
            logger.error("session %s failed", self.name, exc_info=problem)
            self._end(Ended("something went wrong on the server"))

    def _end(self, ended: Ended) -> None:
        if not self._over.done():
            self._over.set_result(ended)

    async def _say_farewell(self, ended: Ended) -> None:
        if self._channel and self._peer.connectionState == "connected":
            self._channel.error(ended.code, str(ended))
            await asyncio.sleep(_FAREWELL_S)

    # What the peer does.

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "video" and self._offer.input is InputKind.PEER:
            self._spawn(self._read(read_track(track, self._intake)))

    async def _read(self, reading: Coroutine[Any, Any, None]) -> None:
        try:
            await reading
        except IntakeEnded as ended:
            self._end(Ended(str(ended), "source-ended"))

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != LABEL or self._channel:
            channel.close()
            return
        self._channel = CaptionChannel(channel, self._settings, self._on_message)
        self._greet()

    def _on_connection_state(self) -> None:
        if self._peer.connectionState in ("closed", "failed"):
            self._end(Ended("the connection was closed"))

    def _on_message(self, message: dict[str, Any]) -> None:
        if self._over.done():
            return
        assert self._channel
        match message["type"]:
            case "ping":
                self._channel.send({"type": "pong", "id": message["id"]})
            case "configure":
                self._configure(message)
            case "freeze":
                self._freeze(message["seq"], self._channel)
            case "release":
                self.frames.release()
            case "explain" | "check" | "analyze":
                self._ask(message, self._channel)
            case "cancel":
                self._explanations.cancel(message["id"], self._channel)
                self._analyses.cancel(message["id"])

    def _configure(self, wanted: dict[str, Any]) -> None:
        if "interval_s" in wanted:
            self._sampler.interval_s = float(wanted["interval_s"])
        if "beam_width" in wanted:
            self._sampler.beam_width = wanted["beam_width"]
        if "overlay" in wanted:
            self._maps.overlay = wanted["overlay"]
        if "explanations" in wanted:
            self._maps.explanations = wanted["explanations"]
        self._send_stats()

    def _ask(self, message: dict[str, Any], channel: CaptionChannel) -> None:
        asked = message["id"]
        if asked in self._explanations or asked in self._analyses:
            told = "id: is that of a request that is not answered yet"
            channel.error("bad-message", told, asked)
        elif message["type"] == "analyze":
            self._analyses.ask(message, channel)
        else:
            self._explanations.ask(message, channel)

    def _freeze(self, seq: int, channel: CaptionChannel) -> None:
        try:
            self.frames.freeze(seq)
        except FrameGone as problem:
            channel.error("gone", str(problem))
        else:
            self._spawn(channel.answer(messages.frozen(self.id, seq)))

    # What the captioner does.

    def _publish(self, captioned: CaptionedFrame) -> None:
        self._newest = captioned
        seq = self._sent + self._unsent
        wants_maps = self._maps.explanations != "none"
        told = self._tell(messages.caption(seq, captioned, maps=wants_maps))
        self._sent += told
        self._unsent += not told
        self._maps.follow(self.frames.keep(seq, captioned), told=told)

    def _on_captioner_state(self) -> None:
        if self._shared.captions.state is EngineState.READY:
            self._greet()
        else:
            self._send_stats()

    def _subtitle(self) -> Subtitle:
        """What the returned video carries now."""
        captions, newest = self._shared.captions, self._newest
        notice = {
            EngineState.STARTING: "The captioner is starting",
            EngineState.PAUSED: "Captions are paused",
            EngineState.READY: None,
        }[captions.state]
        if newest is None:
            return Subtitle("", notice=notice)
        stale = notice is not None or time.time() - newest.frame.captured > self._patience_s()
        doubt, text = worded(newest.caption)
        return Subtitle(text, stale, " · ".join(filter(None, (notice, doubt))) or None)

    def _heat(self) -> Map | None:
        """What the returned video shows over the picture now."""
        return self._maps.heat(self._patience_s())

    def _patience_s(self) -> float:
        """Age at which what was said of a picture may be true no more."""
        return max(_STALE_S, _STALE_INTERVALS * self._sampler.interval_s)

    # What the client is told.

    def _tell(self, message: dict[str, Any]) -> bool:
        return self._channel is not None and self._channel.send(message)

    def _greet(self) -> None:
        if self._channel:
            self._channel.send(
                messages.hello(
                    self.id,
                    self._shared.captions.info,
                    self._state_of_settings(),
                    messages.bounds(self._settings),
                    self._state_of_captioner(),
                )
            )
            self._send_stats()

    def _send_stats(self) -> None:
        every = self._maps.every
        self._tell(
            {
                "type": "stats",
                "captioner": self._state_of_captioner(),
                "settings": self._state_of_settings(),
                "frames": {
                    "received": self._intake.received,
                    "returned": self._returned.returned,
                    "replaced": self._intake.to_return.replaced,
                    "fps_in": round(self._rates.received, 1),
                    "fps_out": round(self._rates.returned, 1),
                },
                "captions": {"sent": self._sent, "replaced": self._unsent},
                "explanations": {
                    "gradcam_every": every.gradcam,
                    "saliency_every": every.saliency,
                },
                "pictures": len(self._pictures),
            }
        )

    def _state_of_captioner(self) -> dict[str, Any]:
        captions = self._shared.captions
        return {"state": captions.state.value, "message": captions.message}

    def _state_of_settings(self) -> dict[str, Any]:
        info = self._shared.captions.info
        width = self._sampler.beam_width or (info.beam_width if info else messages.BEAM_WIDTH)
        return {
            "interval_s": self._sampler.interval_s,
            "beam_width": width,
            "overlay": self._maps.overlay,
            "explanations": self._maps.explanations,
        }

    # What ends it.

    async def _watch(self) -> None:
        """Every second: tell the client how it goes, and end the session when a limit is met."""
        while True:
            await asyncio.sleep(_TICK_S)
            self._rates.measure(self._intake.received, self._returned.returned)
            self._send_stats()
            if ended := await self._limits.met():
                self._end(ended)
                return
