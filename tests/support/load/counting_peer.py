"""A WebRTC client that counts what it receives, without decrypting or decoding the video.

The connection is aiortc's: ICE, DTLS, SRTP and the data channel. Of the returned packets only the
RTP headers are read, which SRTP does not encrypt (RFC 3711, section 3.1). Like a browser, the
client reports its estimated receive bandwidth each second.
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

RECEIVE_BPS = 1_500_000
"""Reported receive bandwidth, in bits per second: the maximum bitrate of aiortc's VP8 encoder."""

_CONNECT_TIMEOUT_S = 30.0
_CLOSE_TIMEOUT_S = 2.0
_REPORT_INTERVAL_S = 1.0


@dataclass(slots=True)
class Counts:
    """What was sent and received since the last call of `CountingPeer.take`."""

    sent: int = 0
    """Frames."""
    skipped: int = 0
    """Frames that this process was too late to send."""
    returned: int = 0
    """Frames, counted by the marker bit of their last packet."""
    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    lost: int = 0
    """Packets that did not arrive, by their sequence numbers."""
    retransmission_requests: int = 0
    """Packets of this client that the server requested again."""
    key_frame_requests: int = 0
    ages_s: list[float] = field(default_factory=list)
    """Age of each caption on arrival, in seconds."""


class CountingPeer:
    """A client that sends no video."""

    def __init__(self, url: str, interval_s: float | None = None) -> None:
        """Prepare to connect to a server.

        Args:
            url: URL of the server.
            interval_s: Interval of captions to configure, in seconds; the server's by default.
        """
        self._url, self._interval_s = url, interval_s
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channel = self._peer.createDataChannel("captions")
        self._channel.on("message", self._on_message)
        self._greeted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._counts = Counts()
        self._newest: int | None = None
        self._returned_ssrc: int | None = None
        self.captioned = asyncio.Event()
        """Set at the first caption."""

    async def open(self, **fields: Any) -> None:
        """Connect and start counting.

        Args:
            fields: Fields of the offer besides its SDP and type.
        """
        self._offer_media()
        await self._peer.setLocalDescription()
        body = {"sdp": self._peer.localDescription.sdp, "type": "offer", **fields}
        async with (
            aiohttp.ClientSession(raise_for_status=True) as http,
            http.post(f"{self._url}/offer", json=body) as response,
        ):
            answer = await response.json()
        await self._peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        # After the server's first message its receiver runs, so that the first frame sent is the
        # first frame received and defines the origin of its timestamps.
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            await self._greeted.wait()
        sender = self._peer.getTransceivers()[0].sender
        self._ssrc, self._transport = sender._ssrc, sender.transport
        self._connection = sender.transport.transport._connection
        # Replaces aiortc's handling of received datagrams.
        self._connection.data_received = self._on_datagram  # type: ignore[method-assign]
        self._tasks.append(asyncio.create_task(self._report_bandwidth()))

    async def close(self) -> None:
        """Disconnect."""
        await self._stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._peer.close(), _CLOSE_TIMEOUT_S)

    async def vanish(self) -> None:
        """Disconnect without notice, like a killed process."""
        await self._stop()
        for pair in self._connection._nominated.values():
            if pair.protocol.transport:
                pair.protocol.transport.abort()
        await self.close()

    def take(self) -> Counts:
        """Return the counts since the last call, and reset them."""
        counts, self._counts = self._counts, Counts()
        return counts

    def _offer_media(self) -> None:
        self._peer.addTransceiver("video", direction="recvonly")

    def _choose_vp8(self) -> None:
        codecs = RTCRtpSender.getCapabilities("video").codecs
        self._peer.getTransceivers()[0].setCodecPreferences(
            [codec for codec in codecs if codec.mimeType in ("video/VP8", "video/rtx")]
        )

    def _age_s(self, caption: dict[str, Any], received: float) -> float:
        """Return the age of a caption on arrival, here since the server captured its frame."""
        captured: float = caption["frame"]["time"]
        return received - captured

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _report_bandwidth(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_INTERVAL_S)
            if self._returned_ssrc is not None:
                fci = pack_remb_fci(RECEIVE_BPS, [self._returned_ssrc])
                packet = RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=self._ssrc, media_ssrc=0, fci=fci)
                with contextlib.suppress(ConnectionError):
                    await self._transport._send_rtp(bytes(packet))

    def _on_datagram(self, data: bytes, component: int) -> None:
        # RFC 7983, section 7: RTP and RTCP start with 128 to 191. RFC 5761, section 4: RTCP.
        if not 127 < data[0] < 192:
            self._connection._queue.put_nowait((data, component))
        elif 192 <= data[1] <= 223:
            self._on_rtcp(data)
        else:
            self._on_rtp(data)

    def _on_rtp(self, data: bytes) -> None:
        counts = self._counts
        counts.packets_in += 1
        counts.bytes_in += len(data)
        counts.returned += data[1] >> 7
        sequence, _, self._returned_ssrc = struct.unpack_from("!HLL", data, 2)
        if self._newest is None:
            self._newest = sequence
        step = (sequence - self._newest) & 0xFFFF
        if 0 < step < 1 << 15:
            counts.lost += step - 1
            self._newest = sequence
        elif step:
            # A packet that was counted as lost arrived after all.
            counts.lost -= 1

    def _on_rtcp(self, data: bytes) -> None:
        with contextlib.suppress(pylibsrtp.Error, ValueError):
            for packet in RtcpPacket.parse(self._transport._rx_srtp.unprotect_rtcp(data)):
                if isinstance(packet, RtcpRtpfbPacket):
                    self._counts.retransmission_requests += len(packet.lost)
                elif isinstance(packet, RtcpPsfbPacket):
                    is_request = packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR)
                    self._counts.key_frame_requests += is_request

    def _on_message(self, text: str) -> None:
        received = time.time()
        message = json.loads(text)
        if message["type"] == "hello":
            if self._interval_s:
                settings = {"type": "configure", "interval_s": self._interval_s}
                self._channel.send(json.dumps(settings))
            self._greeted.set()
        elif message["type"] == "caption":
            self._counts.ages_s.append(self._age_s(message, received))
            self.captioned.set()


class SilentTrack(MediaStreamTrack):
    """A video track without frames, for clients that send their packets past aiortc."""

    kind = "video"

    async def recv(self) -> Any:
        """Wait until cancelled."""
        await asyncio.Event().wait()
