"""One video for many viewers: each picture is drawn and encoded once, and its packet shared.

A viewer's line governs nothing but what that viewer gets: the rate of bits is the same for all,
losses are mended by each sender from its own history (RFC 4585, RFC 4588), and a viewer that falls
behind loses packets up to the next key frame.
"""

import asyncio
import logging
import time
from concurrent.futures import Executor

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from stream.rate_limit import RateLimit
from stream.video.viewer_track import ViewerTrack
from stream.video.vp8 import CLOCK_RATE, SharedVp8Encoder, VideoPacket

_SHARED_KEY_S = 0.25
"""Who joins so soon after a key frame is given that one, and what came after it."""


_KEY_INTERVAL_S = 1.0
"""Viewers that lost pictures get a key frame this often at most."""


_STANDSTILL_S = 0.2
"""A source that gives no picture for so long gives its last one again to those who need one."""


_PAUSE_S = 0.5


_COMPLAINTS_PER_S = 1 / 60


logger = logging.getLogger(__name__)


class SharedVideo:
    """Encodes a track's pictures while somebody watches, and only then; on the event loop."""

    encoded: int
    """Pictures that were encoded."""
    key_frames: int
    """Those of them that are key frames."""
    failed: int
    """Pictures that could not be drawn or encoded."""

    def __init__(self, track: MediaStreamTrack, executor: Executor) -> None:
        """Share a video track that nobody else reads; pictures are encoded in the executor."""
        self.encoded = self.key_frames = self.failed = 0
        self._track, self._executor = track, executor
        self._viewers: set[ViewerTrack] = set()
        self._reading: set[ViewerTrack] = set()
        self._lost = 0
        self._pump: asyncio.Task[None] | None = None
        self._coming: asyncio.Future[av.VideoFrame] | None = None
        self._last: av.VideoFrame | None = None
        self._key_due: float | None = None
        self._key_at = -_KEY_INTERVAL_S
        self._since_key: list[VideoPacket] = []
        self._stamp = 0
        self._closed = False
        self._complaints = RateLimit(_COMPLAINTS_PER_S)

    @property
    def viewers(self) -> int:
        """How many watch."""
        return len(self._viewers)

    @property
    def dropped(self) -> int:
        """Packets that viewers have lost because they were too slow, of all of them together."""
        return self._lost + sum(viewer.dropped for viewer in self._viewers)

    def watch(self) -> ViewerTrack:
        """Give the track for one more viewer; its `stop` ends it.

        What a viewer gets begins with its first `recv`: it may take a while to connect.
        """
        track = ViewerTrack(self._join, self._leave, self.request_key_frame)
        if self._closed:
            track.stop()
        else:
            self._viewers.add(track)
        return track

    def request_key_frame(self) -> None:
        """Mend the picture of a viewer that lost some of it; once a second at most."""
        self._demand_key_frame(max(time.monotonic(), self._key_at + _KEY_INTERVAL_S))

    async def close(self) -> None:
        """End every viewer's track; safe to call more than once."""
        self._closed = True
        for viewer in list(self._viewers):
            viewer.stop()
        if self._pump:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)

    # Who watches.

    def _join(self, viewer: ViewerTrack) -> None:
        self._reading.add(viewer)
        now = time.monotonic()
        if now - self._key_at < _SHARED_KEY_S:
            for packet in self._since_key:
                viewer.put(packet)
        else:
            self._demand_key_frame(now)
        if self._pump is None:
            self._pump = asyncio.create_task(self._run(), name="shared video")

    def _leave(self, viewer: ViewerTrack) -> None:
        if viewer in self._viewers:
            self._viewers.remove(viewer)
            self._lost += viewer.dropped
        self._reading.discard(viewer)

    def _demand_key_frame(self, when: float) -> None:
        self._key_due = when if self._key_due is None else min(when, self._key_due)

    # What they see.

    async def _run(self) -> None:
        encoder = SharedVp8Encoder()
        try:
            while self._reading:
                try:
                    if picture := await self._next_picture():
                        await self._encode(encoder, picture)
                except MediaStreamError:
                    for viewer in list(self._viewers):
                        viewer.stop()
                except Exception:
                    await self._endure()
                    encoder = SharedVp8Encoder()
        finally:
            if self._coming:
                self._coming.cancel()
            self._pump = self._coming = None
            self._since_key = []

    async def _next_picture(self) -> av.VideoFrame | None:
        """Wait for a picture, or give the last one again to who waits for a key frame."""
        if self._coming is None:
            self._coming = asyncio.ensure_future(_receive(self._track))
        done, _ = await asyncio.wait([self._coming], timeout=_STANDSTILL_S)
        if done:
            coming, self._coming = self._coming, None
            self._last = coming.result()
            return self._last
        return self._last if self._key_is_due() else None

    async def _encode(self, encoder: SharedVp8Encoder, picture: av.VideoFrame) -> None:
        # By this clock and not by the source's, which begins anew when the source does.
        self._stamp = max(self._stamp + 1, int(time.monotonic() * CLOCK_RATE))
        stamp, key = self._stamp, self._key_is_due()
        packet = await asyncio.get_running_loop().run_in_executor(
            self._executor, lambda: encoder.encode(picture, stamp, key=key)
        )
        if packet:
            self._hand_out(packet)

    def _hand_out(self, packet: VideoPacket) -> None:
        self.encoded += 1
        now = time.monotonic()
        if packet.is_keyframe:
            self.key_frames += 1
            self._key_at, self._key_due, self._since_key = now, None, []
        if now - self._key_at < _SHARED_KEY_S:
            self._since_key.append(packet)
        else:
            self._since_key = []
        for viewer in self._reading:
            viewer.put(packet)

    def _key_is_due(self) -> bool:
        return self._key_due is not None and self._key_due <= time.monotonic()

    async def _endure(self) -> None:
        self.failed += 1
        if self._complaints.take():
            logger.exception("a picture could not be shared; %s so far", self.failed)
        await asyncio.sleep(_PAUSE_S)


async def _receive(track: MediaStreamTrack) -> av.VideoFrame:
    picture = await track.recv()
    assert isinstance(picture, av.VideoFrame)
    return picture
