"""Received frames, handed on as soon as they are whole.

aiortc knows that a video frame is complete when the first packet of the next one comes: at 30
frames a second that is 33 ms later. The last packet of a frame says so itself, by its marker bit
(RFC 7741, section 4.1 for VP8; RFC 6184, section 5.1 for H.264).

It also waits for a lost packet until the buffer is full, seconds later, though the sender can send
no more than its last 128 packets again; and it shows what refers to pictures that were lost. Here a
packet that does not come in time is given up, and the picture stands still until a whole one (a key
frame) comes, which is asked for again and again (PLI, RFC 4585, section 6.3.1).
"""

import re
import time
from collections.abc import Callable

import aiortc.rtcrtpreceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

_PATIENCE_S = 0.4
"""How long a lost packet is waited for: what it takes to ask for it and get it, twice over."""


_ASK_S = 0.5
"""Between two requests for a key frame: one may be lost, and each brings a large picture."""


_H264_START = b"\0\0\0\1"


_H264_KEY = re.compile(b"\0\0\1[\x05\x07\x25\x27\x45\x47\x65\x67]")
"""A NAL unit of type 5 or 7: a picture that refers to no other, or what announces one."""


class PromptJitterBuffer(JitterBuffer):
    """Hands a video frame on with its marked packet; without a mark, as aiortc does."""

    clock: Callable[[], float] = staticmethod(time.monotonic)
    """In seconds."""
    _lost_at: float | None = None
    """Since when the next frame is incomplete though packets of a later one have come."""
    _asked_at: float | None = None
    """When a key frame was last asked for; None if none is needed."""

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Take a packet; return whether to ask for a key frame, and a frame if one is complete."""
        broken, frame = super().add(packet)
        if not self._is_video:
            return broken, frame
        now = self.clock()
        if frame is None and self._has_lost(packet):
            self._lost_at = now if self._lost_at is None else self._lost_at
            if now - self._lost_at > _PATIENCE_S and self._give_up():
                broken, frame = True, self._remove_frame(packet.sequence_number)
        else:
            self._lost_at = None
        if broken and self._asked_at is None:
            self._asked_at = float("-inf")
        return self._ask_for_key_frame(frame, packet, now)

    def _ask_for_key_frame(
        self, frame: JitterFrame | None, packet: RtpPacket, now: float
    ) -> tuple[bool, JitterFrame | None]:
        """Hold back what cannot be shown, and say whether it is time to ask."""
        if self._asked_at is None:
            return False, frame
        while frame is not None and not _is_key_frame(frame.data):
            frame = self._remove_frame(packet.sequence_number)
        if frame is not None:
            self._asked_at = None
            return False, frame
        if due := now - self._asked_at > _ASK_S:
            self._asked_at = now
        return due, None

    def _has_lost(self, packet: RtpPacket) -> bool:
        """Whether a packet belongs to a later frame than the next, which is not complete."""
        first = self._packet(0)
        return first is None or first.timestamp != packet.timestamp

    def _give_up(self) -> bool:
        """Go on behind what is missing, where a frame begins; say whether there is such a place."""
        missing, before = False, self._packet(0)
        for index in range(1, self.capacity):
            packet = self._packet(index)
            missing = missing or before is None
            if missing and before and packet and packet.timestamp != before.timestamp:
                self.remove(index)
                return True
            before = packet
        return False

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        if not self._is_video:
            return super()._remove_frame(sequence_number)
        self._remove_padding()
        count = self._marked_packets()
        if count is None:
            return super()._remove_frame(sequence_number)
        packets = [packet for packet in map(self._packet, range(count)) if packet]
        frame = JitterFrame(b"".join(map(_data, packets)), packets[0].timestamp)
        self.remove(count)
        return frame

    def _remove_padding(self) -> None:
        """Drop packets that carry nothing but probe the line: alone they would be empty frames."""
        while (packet := self._packet(0)) and not _data(packet):
            self.remove(1)

    def _marked_packets(self) -> int | None:
        """How many packets the first frame has, if it is marked and whole."""
        first = self._packet(0)
        for index in range(self.capacity):
            packet = self._packet(index)
            if first is None or packet is None or packet.timestamp != first.timestamp:
                return None
            if packet.marker:
                return index + 1
        return None

    def _packet(self, index: int) -> RtpPacket | None:
        assert self._origin is not None
        return self._packets[(self._origin + index) % self.capacity]


def _is_key_frame(data: bytes) -> bool:
    """Whether a frame of VP8 (RFC 6386, section 9.1) or H.264 refers to no other."""
    if data.startswith(_H264_START):
        return _H264_KEY.search(data) is not None
    return bool(data) and not data[0] & 1


def _data(packet: RtpPacket) -> bytes:
    """What the receiver found in the packet's payload, and keeps in an undeclared attribute."""
    data: bytes = packet._data  # type: ignore[attr-defined]
    return data


def deliver_promptly() -> None:
    """Let every receiver of this process hand frames on as soon as they are whole."""
    aiortc.rtcrtpreceiver.JitterBuffer = PromptJitterBuffer  # type: ignore[attr-defined]
