"""What one viewer is sent of a video that many watch, over a bounded door of its own.

How a shared video is put on a viewer's connection.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Literal

from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpSender
from aiortc.mediastreams import MediaStreamError

from stream.video.vp8 import VideoPacket

ROOM = 30
"""Packets that wait for a viewer: one or two seconds."""

_SHARED = ("video/vp8", "video/rtx")


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


def send_shared(
    peer: RTCPeerConnection,
    track: ViewerTrack,
    direction: Literal["sendonly", "sendrecv"] = "sendonly",
) -> None:
    """Send a shared video to a peer whose offer is not applied yet.

    VP8 alone is agreed on, since that is what is encoded, and what the peer asks for by PLI or FIR
    (RFC 4585, RFC 5104) reaches the shared encoder.

    Args:
        peer: The viewer's connection; `setRemoteDescription` comes after this.
        track: What `SharedVideo.watch` gave.
        direction: "sendrecv" for one whose own pictures are shared and who sees them too.
    """
    transceiver = peer.addTransceiver(track, direction)
    capabilities = RTCRtpSender.getCapabilities("video").codecs
    transceiver.setCodecPreferences(
        [codec for codec in capabilities if codec.mimeType.lower() in _SHARED]
    )
    # aiortc keeps a request for its own encoder, which a track of packets does not use.
    transceiver.sender._send_keyframe = track.key_frame_wanted  # type: ignore[method-assign]
