"""Received frames, handed on as soon as they are whole.

aiortc knows that a video frame is complete when the first packet of the next one comes: at 30
frames a second that is 33 ms later. The last packet of a frame says so itself, by its marker bit
(RFC 7741, section 4.1 for VP8; RFC 6184, section 5.1 for H.264).
"""

import aiortc.rtcrtpreceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket


class PromptJitterBuffer(JitterBuffer):
    """Hands a video frame on with its marked packet; without a mark, as aiortc does."""

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


def _data(packet: RtpPacket) -> bytes:
    """What the receiver found in the packet's payload, and keeps in an undeclared attribute."""
    data: bytes = packet._data  # type: ignore[attr-defined]
    return data


def deliver_promptly() -> None:
    """Let every receiver of this process hand frames on as soon as they are whole."""
    aiortc.rtcrtpreceiver.JitterBuffer = PromptJitterBuffer  # type: ignore[attr-defined]
