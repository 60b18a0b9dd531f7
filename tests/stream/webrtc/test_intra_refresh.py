"""Peers that send H.264 by periodic intra refresh: after the first, no key frame ever follows."""

import asyncio
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCRtpSender
from aiortc.rtp import RtpPacket, is_rtcp
from numpy.typing import NDArray

from stream.webrtc.rtp import RtpTransport
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.intra_refresh import (
    HEIGHT,
    KEY,
    PARAMETER_SETS,
    RATE,
    REFRESH_FRAMES,
    SEI,
    encode,
    image,
    without,
)
from tests.support.live_sessions import connect, live_sessions
from tests.support.peer import Peer

CAPTIONS = ScriptedCaptions(confident_caption("A dog runs"))


class EncodedTrack(MediaStreamTrack):
    """Sends encoded frames in real time."""

    kind = "video"

    def __init__(self, units: list[bytes], first: int = 0) -> None:
        super().__init__()
        self._units, self._first = units, first
        self.sent = first
        """Number of the next frame."""
        self._started = asyncio.get_running_loop().time()

    async def recv(self) -> "av.Packet[Any]":
        """Return the next frame when it is due."""
        due = self._started + (self.sent - self._first) / RATE
        await asyncio.sleep(due - asyncio.get_running_loop().time())
        packet = av.Packet(self._units[self.sent - self._first])
        packet.pts, packet.time_base = self.sent, Fraction(1, RATE)
        self.sent += 1
        return packet


class LossyLink:
    """Loses packets of a sender for ever: those that are sent again are lost, too."""

    def __init__(self, sender: RTCRtpSender) -> None:
        self.losing = False
        self.lost: set[int] = set()
        self._ssrc = sender._ssrc
        transport = sender.transport
        assert isinstance(transport, RtpTransport)
        self._send, self._send_packets = transport._send_rtp, transport.send_packets
        # Frames are sent by one of them; reports and what is sent again by the other.
        vars(transport)["_send_rtp"] = self._filter
        vars(transport)["send_packets"] = self._filter_packets

    def _filter_packets(self, packets: Iterable[bytes]) -> None:
        self._send_packets(filter(self._arrives, packets))

    async def _filter(self, data: bytes) -> None:
        if is_rtcp(data) or self._arrives(data):
            await self._send(data)

    def _arrives(self, data: bytes) -> bool:
        packet = RtpPacket.parse(data)
        if self.losing:
            self.lost.add(packet.sequence_number)
        return packet.ssrc == self._ssrc and packet.sequence_number not in self.lost


@pytest.fixture(scope="module")
def units() -> list[bytes]:
    return encode(20 * RATE)


def offer_only_h264(peer: Peer) -> None:
    codecs = RTCRtpSender.getCapabilities("video").codecs
    [transceiver] = peer.connection.getTransceivers()
    transceiver.setCodecPreferences([each for each in codecs if each.mimeType == "video/H264"])


def shown(peer: Peer, track: EncodedTrack) -> int | None:
    """Return the number of the frame that the peer received last, if it looks like one."""
    received = upper_half(peer.frames[-1])
    recent = range(max(0, track.sent - 2 * RATE), track.sent)
    errors = {n: np.mean((received - upper_half(image(n))) ** 2) for n in recent}
    best = min(errors, key=errors.__getitem__)
    return best if errors[best] < 60 else None


def upper_half(frame: av.VideoFrame) -> NDArray[np.float32]:
    """Return the luma of the half of a frame on which no caption is drawn."""
    return frame.to_ndarray(format="gray")[: HEIGHT // 2].astype(np.float32)


@pytest.mark.parametrize(
    "removed", [PARAMETER_SETS, PARAMETER_SETS | SEI], ids=["marked", "unmarked"]
)
async def test_video_continues_after_a_loss_without_a_key_frame(
    removed: set[int], units: list[bytes]
) -> None:
    track = EncodedTrack([units[0], *(without(removed, unit) for unit in units[1:])])
    async with live_sessions(CAPTIONS) as sessions, Peer(track) as peer:
        offer_only_h264(peer)
        await connect(sessions, peer)
        link = LossyLink(peer.connection.getSenders()[0])
        await peer.until(lambda: len(peer.frames) > 5 and shown(peer, track))
        link.losing = True
        first_lost = track.sent
        await peer.until(lambda: track.sent > first_lost + 4)
        link.losing = False
        last_lost = track.sent
        assert link.lost

        await peer.until(lambda: (shown(peer, track) or 0) > last_lost + REFRESH_FRAMES)


async def test_video_that_was_never_a_key_frame_is_shown(units: list[bytes]) -> None:
    start = 30
    first = without(KEY | SEI, units[0]) + without(PARAMETER_SETS | SEI, units[start])
    later = [without(PARAMETER_SETS | SEI, unit) for unit in units[start + 1 :]]
    track = EncodedTrack([first, *later], start)
    async with live_sessions(CAPTIONS) as sessions, Peer(track) as peer:
        offer_only_h264(peer)
        await connect(sessions, peer)
        await peer.until(lambda: peer.frames and shown(peer, track))
