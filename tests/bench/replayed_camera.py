"""A session whose camera was recorded and encoded beforehand, and whose screen only counts.

The connection is aiortc's: ICE, DTLS, SRTP, the data channel. The pictures are packets that are
given a header and encrypted; of what comes back the headers are read, which SRTP leaves in the
clear (RFC 3711, section 3.1), and nothing is decrypted or decoded. As a browser does, it tells the
server each second how much it can receive.
"""

import asyncio
import contextlib
import json
import struct
import time
from array import array
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
from aiortc.clock import current_ntp_time
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    pack_remb_fci,
)

from tests.bench.encoded_footage import TICKS_PER_S, Picture

_CONNECT_S = 30.0
_REPORT_S = 1.0
_ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
_ONE_BYTE_EXTENSION = struct.pack("!HH", 0xBEDE, 1)
"""RFC 8285, section 4.2: one word of header extensions follows."""


class _Silence(MediaStreamTrack):
    """What aiortc is to send: nothing; the packets go past it."""

    kind = "video"

    async def recv(self) -> Any:
        """Wait until cancelled."""
        await asyncio.Event().wait()


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
    """Of each caption, since its picture was sent."""


class ReplayedCamera:
    """One client of the server: sends at a steady rate, and counts."""

    def __init__(
        self, url: str, pictures: list[Picture], rate: int, interval_s: float, receives_bps: int
    ) -> None:
        """Prepare to send pictures.

        Args:
            url: Of the server.
            pictures: Encoded ones, sent over and over; the first is a key frame.
            rate: How many a second.
            interval_s: Between captions.
            receives_bps: What it tells the server that it can receive, in bits a second.
        """
        self._url, self._pictures, self._rate = url, pictures, rate
        self._interval_s, self._receives_bps = interval_s, receives_bps
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channel = self._peer.createDataChannel("captions")
        self._channel.on("message", self._on_message)
        self._greeted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._sent_at: array[float] = array("d")
        self._counted = Counted()
        self._place = 0
        self._newest: int | None = None
        self._returned_ssrc: int | None = None

    async def open(self) -> None:
        """Connect, and begin to send."""
        self._peer.addTrack(_Silence())
        transceiver = self._peer.getTransceivers()[0]
        codecs = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences(
            [codec for codec in codecs if codec.mimeType in ("video/VP8", "video/rtx")]
        )
        await self._peer.setLocalDescription()
        body = {"sdp": self._peer.localDescription.sdp, "type": "offer"}
        async with (
            aiohttp.ClientSession(raise_for_status=True) as http,
            http.post(f"{self._url}/offer", json=body) as response,
        ):
            answer = await response.json()
        await self._peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        # By then the server's receiver is at work: the first picture is the first that it gets,
        # and its timestamps begin there.
        async with asyncio.timeout(_CONNECT_S):
            await self._greeted.wait()
        self._sender = transceiver.sender
        self._transport = transceiver.sender.transport
        self._connection = self._transport.transport._connection
        # What came would be handed to aiortc in here.
        self._connection.data_received = self._on_datagram  # type: ignore[method-assign]
        self._tasks = [asyncio.create_task(self._send()), asyncio.create_task(self._report())]

    async def close(self) -> None:
        """Part from the server."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._peer.close(), 2)

    def take(self) -> Counted:
        """Return what was counted since the last time."""
        counted, self._counted = self._counted, Counted()
        return counted

    async def _send(self) -> None:
        codec = self._sender_codec()
        extension = self._extension_id()
        pair = self._connection._nominated[1]
        send, to = pair.protocol.transport.sendto, pair.remote_addr
        protect, ssrc = self._transport._tx_srtp.protect, self._sender._ssrc
        begun, number, sequence = time.monotonic(), 0, 1
        while True:
            due = int((time.monotonic() - begun) * self._rate)
            if due > number:
                # What is not sent in time is not sent at all, as with a camera.
                self._counted.skipped += due - number
                self._sent_at.extend([0.0] * (due - number))
                number = due
            # None is left out, however late: each refers to the one before.
            payloads = self._pictures[self._place % len(self._pictures)]
            self._place += 1
            self._sent_at.append(time.time())
            timestamp = number * TICKS_PER_S // self._rate
            # RTP's abs-send-time: 24 bits, in 1/2^18 s.
            sent = (current_ntp_time() >> 14) & 0xFFFFFF
            stamp = _ONE_BYTE_EXTENSION + struct.pack("!L", extension << 28 | 2 << 24 | sent)
            for place, payload in enumerate(payloads):
                marker = place == len(payloads) - 1
                head = struct.pack(
                    "!BBHLL", 0x90, marker << 7 | codec, sequence & 0xFFFF, timestamp, ssrc
                )
                send(protect(head + stamp + payload), to)
                sequence += 1
            self._counted.sent += 1
            self._counted.packets_out += len(payloads)
            number += 1
            await asyncio.sleep(max(0, begun + number / self._rate - time.monotonic()))

    def _sender_codec(self) -> int:
        codecs = self._peer.getTransceivers()[0]._codecs
        return next(codec.payloadType or 0 for codec in codecs if codec.mimeType == "video/VP8")

    def _extension_id(self) -> int:
        extensions = self._peer.getTransceivers()[0]._headerExtensions
        return next(e.id for e in extensions if e.uri == _ABS_SEND_TIME)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_S)
            if self._returned_ssrc is not None:
                fci = pack_remb_fci(self._receives_bps, [self._returned_ssrc])
                told = RtcpPsfbPacket(
                    fmt=RTCP_PSFB_APP, ssrc=self._sender._ssrc, media_ssrc=0, fci=fci
                )
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
            wanted = {"type": "configure", "interval_s": self._interval_s}
            self._channel.send(json.dumps(wanted))
            self._greeted.set()
        elif message["type"] == "caption":
            number = round(message["frame"]["pts"] * self._rate / TICKS_PER_S)
            self._counted.ages_s.append(came - self._sent_at[number])
