"""The track of one viewer of a shared video: a bounded queue of packets, each sent as encoded."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Literal

from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpSender, RTCRtpTransceiver
from aiortc.mediastreams import MediaStreamError

from stream.video.shared_encoder import SharedCodec, VideoPacket

QUEUE_SIZE = 30
"""Packets queued for a viewer: one or two seconds of video."""

_RTX = "video/rtx"
_BASELINE = "42001f"
"""Profile of H.264 that is offered after Constrained Baseline, which it includes."""


class ViewerTrack(MediaStreamTrack):
    """Packets of a shared video for one sender, starting with a key frame.

    aiortc's sender packs an `av.Packet` into RTP without encoding it.
    """

    kind = "video"
    codec: SharedCodec
    """The codec of the packets."""
    returned: int
    """Packets that the sender has taken."""
    dropped: int
    """Packets that this viewer has lost because it was too slow."""

    def __init__(
        self,
        codec: SharedCodec,
        on_join: Callable[["ViewerTrack"], None],
        on_leave: Callable[["ViewerTrack"], None],
        request_key_frame: Callable[[], None],
    ) -> None:
        """Create the track of a viewer that has not read yet.

        Args:
            codec: As the attribute.
            on_join: Called when the viewer reads for the first time.
            on_leave: Called when the track is stopped.
            request_key_frame: Called when the viewer needs a key frame.
        """
        super().__init__()
        self.codec = codec
        self.dropped = self.returned = 0
        self.request_key_frame = request_key_frame
        self._on_join, self._on_leave = on_join, on_leave
        self._has_joined = self._has_started = False
        self._needs_key_frame = True
        self._packets: deque[VideoPacket] = deque()
        self._has_packets = asyncio.Event()

    def put(self, packet: VideoPacket) -> None:
        """Queue a packet; when the queue is full, drop it all up to the next key frame."""
        if len(self._packets) == QUEUE_SIZE:
            self.dropped += QUEUE_SIZE
            self._packets.clear()
            self._needs_key_frame = True
        if self._needs_key_frame and not packet.is_keyframe:
            self.dropped += self._has_started
            return
        self._has_started, self._needs_key_frame = True, False
        self._packets.append(packet)
        self._has_packets.set()

    async def recv(self) -> VideoPacket:
        """Wait for the next packet; the first one is a key frame.

        Raises:
            MediaStreamError: If the track was stopped.
        """
        if not self._has_joined and self.readyState == "live":
            self._has_joined = True
            self._on_join(self)
        elif self._needs_key_frame and not self._packets:
            self.request_key_frame()
        while not self._packets and self.readyState == "live":
            self._has_packets.clear()
            await self._has_packets.wait()
        if self.readyState != "live":
            raise MediaStreamError
        self.returned += 1
        return self._packets.popleft()

    def stop(self) -> None:
        """End the track; safe to call more than once."""
        super().stop()
        self._packets.clear()
        self._has_packets.set()
        self._on_leave(self)


def send_shared_video(
    peer: RTCPeerConnection,
    track: ViewerTrack,
    direction: Literal["sendonly", "sendrecv"] = "sendonly",
) -> RTCRtpTransceiver:
    """Send a shared video to a peer; call this before `setRemoteDescription`.

    Only the codec of the track is negotiated. The peer's requests for a key frame by PLI or FIR
    (RFC 4585, RFC 5104) reach the shared encoder.

    Args:
        peer: The viewer's connection.
        track: The viewer's track, from `SharedVideo.watch`.
        direction: "sendrecv" for a peer that views its own shared video.
    """
    transceiver = peer.addTransceiver(track, direction)
    capabilities = RTCRtpSender.getCapabilities("video").codecs
    allowed = (f"video/{track.codec}".lower(), _RTX)
    preferences = [codec for codec in capabilities if codec.mimeType.lower() in allowed]
    preferences.sort(key=lambda codec: _BASELINE in codec.parameters.values())
    transceiver.setCodecPreferences(preferences)
    # aiortc passes a key frame request to its own encoder, which a track of packets does not use.
    transceiver.sender._send_keyframe = track.request_key_frame  # type: ignore[method-assign]
    return transceiver
