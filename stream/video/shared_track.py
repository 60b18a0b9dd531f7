"""One video for many viewers: each frame is drawn once, and encoded once for each codec in use.

A viewer's connection affects nobody else's video: the bit rate is the same for all, lost packets
are resent by each sender from its own history (RFC 4585, RFC 4588), and a viewer that falls behind
loses packets up to the next key frame.
"""

import asyncio
import logging
import time
from concurrent.futures import Executor

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from stream.rate_limit import RateLimit
from stream.video.shared_encoder import CLOCK_RATE, SharedCodec, SharedEncoder, VideoPacket
from stream.video.viewer_track import ViewerTrack

_REUSE_KEY_FRAME_S = 0.25
"""A viewer that joins this soon after a key frame gets it and the packets since, not a new one."""

_KEY_FRAME_INTERVAL_S = 1.0
"""Minimum time between key frames for viewers that have lost packets."""

_STANDSTILL_S = 0.2
"""If the source returns no frame for this long, the last one is encoded again when a key frame is
due."""

_RETRY_S = 0.5

_LOGGED_FAILURES_PER_S = 1 / 60

logger = logging.getLogger(__name__)


class SharedVideo:
    """Encodes a track's frames while it has viewers; use it on the event loop."""

    encoded: int
    """Frames encoded; a frame counts once for each codec."""
    key_frames: int
    """Frames encoded as key frames."""
    failed: int
    """Frames that could not be drawn or encoded."""

    def __init__(self, track: MediaStreamTrack, executor: Executor) -> None:
        """Share a video track, which must have no other reader; the executor encodes."""
        self.encoded = self.key_frames = self.failed = 0
        self._track, self._executor = track, executor
        self._viewers: set[ViewerTrack] = set()
        self._encodings = {codec: _Encoding(codec) for codec in SharedCodec}
        self._dropped_by_former = 0
        self._task: asyncio.Task[None] | None = None
        self._receiving: asyncio.Future[av.VideoFrame] | None = None
        self._last_frame: av.VideoFrame | None = None
        self._pts = 0
        self._closed = False
        self._logged_failures = RateLimit(_LOGGED_FAILURES_PER_S)

    @property
    def viewers(self) -> int:
        """Number of viewers."""
        return len(self._viewers)

    @property
    def dropped(self) -> int:
        """Packets that all viewers together have lost because they were too slow."""
        return self._dropped_by_former + sum(viewer.dropped for viewer in self._viewers)

    def watch(self, codec: SharedCodec = SharedCodec.VP8) -> ViewerTrack:
        """Return the track of one more viewer; stop it when the viewer leaves.

        Packets are queued from its first `recv`, because a viewer may take a while to connect.
        """
        encoding = self._encodings[codec]
        track = ViewerTrack(codec, self._on_join, self._on_leave, encoding.request_key_frame)
        if self._closed:
            track.stop()
        else:
            self._viewers.add(track)
        return track

    async def close(self) -> None:
        """Stop every viewer's track; safe to call more than once."""
        self._closed = True
        for viewer in list(self._viewers):
            viewer.stop()
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _on_join(self, viewer: ViewerTrack) -> None:
        self._encodings[viewer.codec].join(viewer)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="shared video")

    def _on_leave(self, viewer: ViewerTrack) -> None:
        if viewer in self._viewers:
            self._viewers.remove(viewer)
            self._dropped_by_former += viewer.dropped
        self._encodings[viewer.codec].leave(viewer)

    @property
    def _in_use(self) -> list["_Encoding"]:
        return [encoding for encoding in self._encodings.values() if encoding.readers]

    async def _run(self) -> None:
        try:
            while self._in_use:
                try:
                    if frame := await self._next_frame():
                        # Timestamps of this clock, not of the source, whose clock restarts.
                        self._pts = max(self._pts + 1, int(time.monotonic() * CLOCK_RATE))
                        await asyncio.gather(*(self._encode(each, frame) for each in self._in_use))
                except MediaStreamError:
                    for viewer in list(self._viewers):
                        viewer.stop()
                except Exception:
                    self._count_failure()
                    for encoding in self._in_use:
                        encoding.restart()
                    await asyncio.sleep(_RETRY_S)
        finally:
            if self._receiving:
                self._receiving.cancel()
            self._task = self._receiving = None
            for encoding in self._encodings.values():
                encoding.restart()

    async def _next_frame(self) -> av.VideoFrame | None:
        """Wait for a frame; at a standstill, return the last one if a key frame is due."""
        if self._receiving is None:
            self._receiving = asyncio.ensure_future(_receive(self._track))
        done, _ = await asyncio.wait([self._receiving], timeout=_STANDSTILL_S)
        if done:
            receiving, self._receiving = self._receiving, None
            self._last_frame = receiving.result()
            return self._last_frame
        is_due = any(encoding.is_key_frame_due for encoding in self._in_use)
        return self._last_frame if is_due else None

    async def _encode(self, encoding: "_Encoding", frame: av.VideoFrame) -> None:
        """Encode a frame; a failure affects this encoding only."""
        if time.monotonic() < encoding.paused_until:
            return
        encoder, pts, key_frame = encoding.encoder, self._pts, encoding.is_key_frame_due
        try:
            packet = await asyncio.get_running_loop().run_in_executor(
                self._executor, lambda: encoder.encode(frame, pts, key_frame=key_frame)
            )
        except Exception:
            self._count_failure()
            encoding.restart()
            encoding.paused_until = time.monotonic() + _RETRY_S
            return
        if packet:
            self.encoded += 1
            self.key_frames += packet.is_keyframe
            encoding.distribute(packet)

    def _count_failure(self) -> None:
        self.failed += 1
        if self._logged_failures.take():
            logger.exception("a frame could not be drawn or encoded; %s so far", self.failed)


class _Encoding:
    """The video in one codec: its encoder, its readers, and when its next key frame is due."""

    def __init__(self, codec: SharedCodec) -> None:
        self.readers: set[ViewerTrack] = set()
        self.encoder = SharedEncoder(codec)
        self.paused_until = 0.0
        """Time until which nothing is encoded, after a failure."""
        self._codec = codec
        self._key_frame_due: float | None = None
        self._key_frame_at = -_KEY_FRAME_INTERVAL_S
        self._since_key_frame: list[VideoPacket] = []

    def join(self, viewer: ViewerTrack) -> None:
        self.readers.add(viewer)
        now = time.monotonic()
        if now - self._key_frame_at < _REUSE_KEY_FRAME_S:
            for packet in self._since_key_frame:
                viewer.put(packet)
        else:
            self._schedule_key_frame(now)

    def leave(self, viewer: ViewerTrack) -> None:
        self.readers.discard(viewer)
        if not self.readers:
            self.restart()

    def restart(self) -> None:
        """Start over with another encoder, whose first packet is a key frame."""
        self.encoder, self._since_key_frame = SharedEncoder(self._codec), []

    def request_key_frame(self) -> None:
        """Encode a key frame for a viewer that has lost packets; at most once a second."""
        self._schedule_key_frame(max(time.monotonic(), self._key_frame_at + _KEY_FRAME_INTERVAL_S))

    @property
    def is_key_frame_due(self) -> bool:
        return self._key_frame_due is not None and self._key_frame_due <= time.monotonic()

    def distribute(self, packet: VideoPacket) -> None:
        now = time.monotonic()
        if packet.is_keyframe:
            self._key_frame_at, self._key_frame_due, self._since_key_frame = now, None, []
        if now - self._key_frame_at < _REUSE_KEY_FRAME_S:
            self._since_key_frame.append(packet)
        else:
            self._since_key_frame = []
        for viewer in self.readers:
            viewer.put(packet)

    def _schedule_key_frame(self, at: float) -> None:
        self._key_frame_due = at if self._key_frame_due is None else min(at, self._key_frame_due)


async def _receive(track: MediaStreamTrack) -> av.VideoFrame:
    frame = await track.recv()
    assert isinstance(frame, av.VideoFrame)
    return frame
