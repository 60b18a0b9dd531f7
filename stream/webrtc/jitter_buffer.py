"""A jitter buffer that delivers video frames as soon as they are complete.

aiortc's own considers a video frame complete when the first packet of the next one arrives: at 30
frames per second, 33 ms later. Here the marker bit of its last packet completes a frame (RFC 7741,
section 4.1 for VP8; RFC 6184, section 5.1 for H.264).

aiortc also waits for a lost packet until the buffer is full, which takes seconds, though the sender
can retransmit only its last 128 packets; and it then shows frames that refer to lost ones. Here a
packet that does not arrive in time is given up, and the video freezes until the next key frame,
which is requested repeatedly (PLI, RFC 4585, section 6.3.1).

Encoders of H.264 with periodic intra refresh send no key frame after the first, whatever is
requested: a band of intra blocks wanders through the frames and repairs them. Their video continues
at a recovery point (H.264, section D.2.8) or after a bounded time; FFmpeg conceals what is missing.
"""

import time
from collections.abc import Callable

import aiortc.codecs
import aiortc.rtcrtpreceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

from stream.webrtc.h264 import (
    ConcealingH264Decoder,
    H264Frames,
    is_h264,
    is_h264_key_frame,
    is_recovery_point,
)

_LOSS_TIMEOUT_S = 0.4
"""How long to wait for a lost packet: time enough for two retransmissions."""

_KEY_FRAME_REQUEST_S = 0.5
"""Interval of requesting a key frame: a request may be lost, but each causes a large frame."""

_FREEZE_S = 2.0
"""How long H.264 freezes at most: time enough for a key frame after several requests."""

_REPEATED_REQUEST_S = 5.0
"""Interval of requesting a key frame once the video has continued without one."""


class LowLatencyJitterBuffer(JitterBuffer):
    """Delivers a video frame with its marked packet; without a marker, as aiortc does."""

    clock: Callable[[], float] = staticmethod(time.monotonic)
    """Returns the time in seconds."""
    _incomplete_since: float | None = None
    """Since when the next frame is incomplete although packets of a later one have arrived."""
    _broken_at: float | None = None
    """Since when a key frame is needed; None if none is."""
    _requested_at = float("-inf")
    """When a key frame was last requested."""
    _continues = False
    """Whether frames are delivered although a key frame is needed."""

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Add a packet; return whether to request a key frame, and a frame if one is complete."""
        broken, frame = super().add(packet)
        if not self._is_video:
            return broken, frame
        now = self.clock()
        if frame is None and self._is_waiting_for_lost(packet):
            if self._incomplete_since is None:
                self._incomplete_since = now
            if now - self._incomplete_since > _LOSS_TIMEOUT_S and self._skip_lost():
                broken, frame = True, self._remove_frame(packet.sequence_number)
        else:
            self._incomplete_since = None
        if broken and self._broken_at is None:
            self._broken_at, self._requested_at, self._continues = now, float("-inf"), False
        return self._drop_until_key_frame(frame, packet, now)

    def _drop_until_key_frame(
        self, frame: JitterFrame | None, packet: RtpPacket, now: float
    ) -> tuple[bool, JitterFrame | None]:
        """Drop frames that cannot be decoded; return as `add` does."""
        if self._broken_at is None:
            return False, frame
        is_late, number = now - self._broken_at > _FREEZE_S, packet.sequence_number
        while frame is not None:
            if _is_key_frame(frame.data):
                self._broken_at = None
                return False, frame
            if is_h264(frame.data) and (
                self._continues or is_late or is_recovery_point(frame.data)
            ):
                self._continues = True
                # At once, lest the time that was spent on waiting becomes a lasting delay.
                frame = H264Frames(frame, iter(lambda: self._remove_frame(number), None))
                if any(is_h264_key_frame(data) for data, _ in frame.following):
                    self._broken_at = None
                    return False, frame
                break
            frame = self._remove_frame(number)
        interval_s = _REPEATED_REQUEST_S if self._continues else _KEY_FRAME_REQUEST_S
        if is_due := now - self._requested_at > interval_s:
            self._requested_at = now
        return is_due, frame

    def _is_waiting_for_lost(self, packet: RtpPacket) -> bool:
        """Return whether a packet belongs to a later frame than the next, which is incomplete."""
        first = self._packet(0)
        return first is None or first.timestamp != packet.timestamp

    def _skip_lost(self) -> bool:
        """Skip to the first frame after the gap; return whether there is one."""
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
        count, is_followed = self._first_frame()
        if count is None:
            # Without a marker, the next frame completes it; if there is none, nothing does.
            return super()._remove_frame(sequence_number) if is_followed else None
        packets = [packet for packet in map(self._packet, range(count)) if packet]
        frame = JitterFrame(b"".join(map(_payload, packets)), packets[0].timestamp)
        self.remove(count)
        return frame

    def _remove_padding(self) -> None:
        """Remove leading packets without a payload (bandwidth probes), which complete no frame."""
        while (packet := self._packet(0)) and not _payload(packet):
            self.remove(1)

    def _first_frame(self) -> tuple[int | None, bool]:
        """Look at the first frame's packets; this runs for each packet that arrives.

        Returns:
            Their number if the frame is marked and complete, and whether a packet of another frame
            follows them directly.
        """
        packets, capacity, origin = self._packets, self._capacity, self._origin
        assert origin is not None
        first = packets[origin % capacity]
        for index in range(capacity):
            packet = packets[(origin + index) % capacity]
            if first is None or packet is None:
                return None, False
            if packet.timestamp != first.timestamp:
                return None, True
            if packet.marker:
                return index + 1, False
        return None, False

    def _packet(self, index: int) -> RtpPacket | None:
        assert self._origin is not None
        return self._packets[(self._origin + index) % self.capacity]


def use_low_latency_jitter_buffer() -> None:
    """Make all receivers of this process use `LowLatencyJitterBuffer`, and a decoder to match."""
    aiortc.rtcrtpreceiver.JitterBuffer = LowLatencyJitterBuffer  # type: ignore[attr-defined]
    aiortc.codecs.H264Decoder = ConcealingH264Decoder  # type: ignore[attr-defined]


def _is_key_frame(data: bytes) -> bool:
    """Return whether a frame of VP8 (RFC 6386, section 9.1) or H.264 is a key frame."""
    if is_h264(data):
        return is_h264_key_frame(data)
    return bool(data) and not data[0] & 1


def _payload(packet: RtpPacket) -> bytes:
    """Return a packet's depacketized payload, which aiortc keeps in an undeclared attribute."""
    data: bytes = packet._data  # type: ignore[attr-defined]
    return data
