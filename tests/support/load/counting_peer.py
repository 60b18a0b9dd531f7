"""A client whose screen only counts.

The connection is aiortc's: ICE, DTLS, SRTP, the data channel. Of what comes back the headers are
read, which SRTP leaves in the clear (RFC 3711, section 3.1), and nothing is decrypted or decoded.
As a browser does, it tells the server each second how much it can receive.
"""

import asyncio
import contextlib
import json
import struct
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pylibsrtp
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    pack_remb_fci,
)

RECEIVES_BPS = 1_500_000
"""What it says that it can receive: the most that aiortc's VP8 encoder sends."""

_CONNECT_S = 30.0
_PART_S = 2.0
_REPORT_S = 1.0


@dataclass(slots=True)
class Counted:
    """What was sent and what came, since it was last taken."""

    sent: int = 0
    """Pictures."""
    skipped: int = 0
    """Pictures that this process was too late to send."""
    returned: int = 0
    """Pictures, by their last packet's marker."""
    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    lost: int = 0
    """Packets that never came, by their numbers."""
    asked_again: int = 0
    """Packets of this client that the server asked for again."""
    key_frames_asked: int = 0
    """Times that the server asked for a whole picture."""
    ages_s: list[float] = field(default_factory=list)
    """Of each caption, when it came."""


class CountingPeer:
    """One client of the server, which sends nothing."""

    def __init__(self, url: str, interval_s: float | None = None) -> None:
        """Prepare to connect to a server, and to ask for captions in some interval."""
        self._url, self._interval_s = url, interval_s
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channel = self._peer.createDataChannel("captions")
        self._channel.on("message", self._on_message)
        self._greeted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._counted = Counted()
        self._newest: int | None = None
        self._returned_ssrc: int | None = None
        self.captioned = asyncio.Event()
        """Set at the first caption."""

    async def open(self, **asked: Any) -> None:
        """Connect, and count what comes.

        Args:
            asked: What the offer says besides its SDP.
        """
        self._offer_media()
        await self._peer.setLocalDescription()
        body = {"sdp": self._peer.localDescription.sdp, "type": "offer", **asked}
        async with (
            aiohttp.ClientSession(raise_for_status=True) as http,
            http.post(f"{self._url}/offer", json=body) as response,
        ):
            answer = await response.json()
        await self._peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        # By then the server's receiver is at work: the first picture that is sent is the first
        # that it gets, and its timestamps begin there.
        async with asyncio.timeout(_CONNECT_S):
            await self._greeted.wait()
        sender = self._peer.getTransceivers()[0].sender
        self._ssrc, self._transport = sender._ssrc, sender.transport
        self._connection = sender.transport.transport._connection
        # What came would be handed to aiortc in here.
        self._connection.data_received = self._on_datagram  # type: ignore[method-assign]
        self._tasks.append(asyncio.create_task(self._report()))

    async def close(self) -> None:
        """Part from the server."""
        await self._stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._peer.close(), _PART_S)

    async def vanish(self) -> None:
        """Be gone without a word, as a process is that was killed."""
        await self._stop()
        for pair in self._connection._nominated.values():
            if pair.protocol.transport:
                pair.protocol.transport.abort()
        await self.close()

    def take(self) -> Counted:
        """Return what was counted since the last time."""
        counted, self._counted = self._counted, Counted()
        return counted

    def _offer_media(self) -> None:
        self._peer.addTransceiver("video", direction="recvonly")

    def _choose_vp8(self) -> None:
        codecs = RTCRtpSender.getCapabilities("video").codecs
        self._peer.getTransceivers()[0].setCodecPreferences(
            [codec for codec in codecs if codec.mimeType in ("video/VP8", "video/rtx")]
        )

    def _age_s(self, caption: dict[str, Any], came: float) -> float:
        """How old a caption was when it came: here since the server had its picture."""
        captured: float = caption["frame"]["time"]
        return came - captured

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_S)
            if self._returned_ssrc is not None:
                fci = pack_remb_fci(RECEIVES_BPS, [self._returned_ssrc])
                told = RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=self._ssrc, media_ssrc=0, fci=fci)
                with contextlib.suppress(ConnectionError):
                    await self._transport._send_rtp(bytes(told))

    def _on_datagram(self, data: bytes, component: int) -> None:
        if not 127 < data[0] < 192:
            self._connection._queue.put_nowait((data, component))
        elif 192 <= data[1] <= 223:
            self._on_rtcp(data)
        else:
            self._on_rtp(data)

    def _on_rtp(self, data: bytes) -> None:
        counted = self._counted
        counted.packets_in += 1
        counted.bytes_in += len(data)
        counted.returned += data[1] >> 7
        sequence, _, self._returned_ssrc = struct.unpack_from("!HLL", data, 2)
        if self._newest is None:
            self._newest = sequence
        step = (sequence - self._newest) & 0xFFFF
        if 0 < step < 1 << 15:
            counted.lost += step - 1
            self._newest = sequence
        elif step:
            counted.lost -= 1

    def _on_rtcp(self, data: bytes) -> None:
        with contextlib.suppress(pylibsrtp.Error, ValueError):
            for packet in RtcpPacket.parse(self._transport._rx_srtp.unprotect_rtcp(data)):
                if isinstance(packet, RtcpRtpfbPacket):
                    self._counted.asked_again += len(packet.lost)
                elif isinstance(packet, RtcpPsfbPacket):
                    asked = packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR)
                    self._counted.key_frames_asked += asked

    def _on_message(self, text: str) -> None:
        came = time.time()
        message = json.loads(text)
        if message["type"] == "hello":
            if self._interval_s:
                wanted = {"type": "configure", "interval_s": self._interval_s}
                self._channel.send(json.dumps(wanted))
            self._greeted.set()
        elif message["type"] == "caption":
            self._counted.ages_s.append(self._age_s(message, came))
            self.captioned.set()


class Silence(MediaStreamTrack):
    """What aiortc is to send where packets go past it: nothing."""

    kind = "video"

    async def recv(self) -> Any:
        """Wait until cancelled."""
        await asyncio.Event().wait()
