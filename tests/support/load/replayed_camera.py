"""A session whose camera was recorded and encoded beforehand, and whose screen only counts.

Its pictures are packets that are given a header and encrypted, by the clock.
"""

import asyncio
import struct
import time
from array import array
from typing import Any

from aiortc.clock import current_ntp_time

from tests.bench.counting_peer import CountingPeer, Silence
from tests.bench.encoded_footage import TICKS_PER_S, Picture

_ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
_ONE_BYTE_EXTENSION = struct.pack("!HH", 0xBEDE, 1)
"""RFC 8285, section 4.2: one word of header extensions follows."""


class ReplayedCamera(CountingPeer):
    """One client of the server: sends at a steady rate, and counts what comes back."""

    def __init__(self, url: str, pictures: list[Picture], rate: int, interval_s: float) -> None:
        """Prepare to send pictures.

        Args:
            url: Of the server.
            pictures: Encoded ones, sent over and over; the first is a key frame.
            rate: How many a second.
            interval_s: Between captions.
        """
        super().__init__(url, interval_s)
        self._pictures, self._rate = pictures, rate
        self._sent_at: array[float] = array("d")
        self._place = 0

    async def open(self, **asked: Any) -> None:
        """Connect, and begin to send; see `CountingPeer.open`."""
        await super().open(**asked)
        self._tasks.append(asyncio.create_task(self._send()))

    def _offer_media(self) -> None:
        self._peer.addTrack(Silence())
        self._choose_vp8()

    def _age_s(self, caption: dict[str, Any], came: float) -> float:
        """Since the picture was sent, found by its timestamp."""
        number = round(caption["frame"]["pts"] * self._rate / TICKS_PER_S)
        sent: float = self._sent_at[number]
        return came - sent

    async def _send(self) -> None:
        codec, extension = self._codec(), self._extension_id()
        pair = self._connection._nominated[1]
        send, to = pair.protocol.transport.sendto, pair.remote_addr
        protect, ssrc = self._transport._tx_srtp.protect, self._ssrc
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
                    "!BBHLL",
                    *(0x90, marker << 7 | codec, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc),
                )
                send(protect(head + stamp + payload), to)
                sequence += 1
            self._counted.sent += 1
            self._counted.packets_out += len(payloads)
            number += 1
            await asyncio.sleep(max(0, begun + number / self._rate - time.monotonic()))

    def _codec(self) -> int:
        codecs = self._peer.getTransceivers()[0]._codecs
        return next(codec.payloadType or 0 for codec in codecs if codec.mimeType == "video/VP8")

    def _extension_id(self) -> int:
        extensions = self._peer.getTransceivers()[0]._headerExtensions
        return next(each.id for each in extensions if each.uri == _ABS_SEND_TIME)
