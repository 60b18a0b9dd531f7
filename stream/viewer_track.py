"""What one viewer is sent of a video that many watch, over a bounded door of its own."""

import asyncio
from collections import deque
from collections.abc import Callable

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from stream.libvpx import VideoPacket

ROOM = 30
"""Packets that wait for a viewer: one or two seconds."""


class ViewerTrack(MediaStreamTrack):
    """Packets of a shared video, each begun by a key frame, for one sender.

    aiortc's sender packs an `av.Packet` into RTP as it is.
    """

    kind = "video"
    returned: int
    """Packets that the sender has taken."""
    dropped: int
    """Packets that this viewer has lost because it was too slow."""

    def __init__(
        self,
        joined: Callable[["ViewerTrack"], None],
        left: Callable[["ViewerTrack"], None],
        key_frame_wanted: Callable[[], None],
    ) -> None:
        """Be told when the viewer reads first, when it stops, and when it needs a key frame."""
        super().__init__()
        self.dropped = self.returned = 0
        self.key_frame_wanted = key_frame_wanted
        self._on_joined, self._on_left = joined, left
        self._joined = self._begun = False
        self._needs_key = True
        self._packets: deque[VideoPacket] = deque()
        self._came = asyncio.Event()

    def put(self, packet: VideoPacket) -> None:
        """Let a packet wait for the viewer, which loses all up to a key frame if it is too slow."""
        if len(self._packets) == ROOM:
            self.dropped += ROOM
            self._packets.clear()
            self._needs_key = True
        if self._needs_key and not packet.is_keyframe:
            self.dropped += self._begun
            return
        self._begun, self._needs_key = True, False
        self._packets.append(packet)
        self._came.set()

    async def recv(self) -> VideoPacket:
        """Wait for the next packet; the first is a key frame.

        Raises:
            MediaStreamError: If the track was stopped.
        """
        if not self._joined and self.readyState == "live":
            self._joined = True
            self._on_joined(self)
        elif self._needs_key and not self._packets:
            self.key_frame_wanted()
        while not self._packets and self.readyState == "live":
            self._came.clear()
            await self._came.wait()
        if self.readyState != "live":
            raise MediaStreamError
        self.returned += 1
        return self._packets.popleft()

    def stop(self) -> None:
        """Send nothing more; safe to call more than once."""
        super().stop()
        self._packets.clear()
        self._came.set()
        self._on_left(self)
