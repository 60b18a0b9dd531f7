"""A WebRTC client that sends footage encoded beforehand and counts what it receives.

Per packet it only writes a header and encrypts, so that one process can run many sessions.
"""

import asyncio
import struct
import time
from array import array
from typing import Any

from aiortc.clock import current_ntp_time

from tests.support.load.counting_peer import CountingPeer, SilentTrack
from tests.support.load.encoded_footage import CLOCK_RATE, EncodedFrame

_ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
_ONE_BYTE_EXTENSION = struct.pack("!HH", 0xBEDE, 1)
"""Header of one word of RTP header extensions (RFC 8285, section 4.2)."""


class ReplayedCamera(CountingPeer):
    """A client that sends frames at a constant rate."""

    def __init__(self, url: str, frames: list[EncodedFrame], rate: int, interval_s: float) -> None:
        """Prepare to send frames to a server.

        Args:
            url: URL of the server.
            frames: Encoded frames, sent in a loop; the first is a key frame.
            rate: Frames per second.
            interval_s: Interval of captions, in seconds.
        """
        super().__init__(url, interval_s)
        self._frames, self._rate = frames, rate
        self._sent_at: array[float] = array("d")
        self._position = 0

    async def open(self, **fields: Any) -> None:
        """Connect, and start to send and to count; see `CountingPeer.open`."""
        await super().open(**fields)
        self._tasks.append(asyncio.create_task(self._send()))

    def _offer_media(self) -> None:
        self._peer.addTrack(SilentTrack())
        self._choose_vp8()

    def _age_s(self, caption: dict[str, Any], received: float) -> float:
        """Return the age since the frame was sent, found by its timestamp."""
        number = round(caption["frame"]["pts"] * self._rate / CLOCK_RATE)
        sent: float = self._sent_at[number]
        return received - sent

    async def _send(self) -> None:
        codec, extension = self._payload_type(), self._extension_id()
        pair = self._connection._nominated[1]
        send, to = pair.protocol.transport.sendto, pair.remote_addr
        protect, ssrc = self._transport._tx_srtp.protect, self._ssrc
        started, number, sequence = time.monotonic(), 0, 1
        while True:
            due = int((time.monotonic() - started) * self._rate)
            if due > number:
                # A slot that was missed is skipped, as with a camera.
                self._counts.skipped += due - number
                self._sent_at.extend([0.0] * (due - number))
                number = due
            # The encoded frames are sent without gaps: each refers to the previous one.
            payloads = self._frames[self._position % len(self._frames)]
            self._position += 1
            self._sent_at.append(time.time())
            timestamp = number * CLOCK_RATE // self._rate
            # RTP's abs-send-time: 24 bits, in 1/2^18 s.
            sent = (current_ntp_time() >> 14) & 0xFFFFFF
            stamp = _ONE_BYTE_EXTENSION + struct.pack("!L", extension << 28 | 2 << 24 | sent)
            for place, payload in enumerate(payloads):
                marker = place == len(payloads) - 1
                head = struct.pack(
                    "!BBHLL",
                    *(0x90, marker << 7 | codec, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc),
                )
                send(protect(head + stamp + payload), to)
                sequence += 1
            self._counts.sent += 1
            self._counts.packets_out += len(payloads)
            number += 1
            await asyncio.sleep(max(0, started + number / self._rate - time.monotonic()))

    def _payload_type(self) -> int:
        codecs = self._peer.getTransceivers()[0]._codecs
        return next(codec.payloadType or 0 for codec in codecs if codec.mimeType == "video/VP8")

    def _extension_id(self) -> int:
        extensions = self._peer.getTransceivers()[0]._headerExtensions
        return next(each.id for each in extensions if each.uri == _ABS_SEND_TIME)
