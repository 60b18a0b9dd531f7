"""H.264 after a loss: where its decoding can continue, and a decoder that conceals what is missing.

Section numbers are those of ITU-T H.264.
"""

import re
from collections.abc import Iterable

import av
from aiortc.codecs.h264 import H264Decoder
from aiortc.jitterbuffer import JitterFrame
from av.frame import Frame

from stream.video import IncompleteFrames

_INCOMPLETE_AFTER_S = 2.0
"""The peer is asked for key frames meanwhile."""

_CLOCK_RATE = 90_000
"""Of RTP timestamps (RFC 6184, section 8.2.1)."""

_START = b"\0\0\0\1"
_NAL_START = re.compile(b"\0\0\1")
_IDR_SLICE = re.compile(b"\0\0\1[\x05\x25\x45\x65]")
_SEI, _SEQUENCE_PARAMETERS = 6, 7
"""Types of NAL units (table 7-1)."""
_RECOVERY_POINT = 6
"""Payload type of an SEI message (section D.1.1)."""


class H264Frames(JitterFrame):
    """Frames that are decoded one after another."""

    def __init__(self, first: JitterFrame, following: Iterable[JitterFrame]) -> None:
        """Join frames in order."""
        super().__init__(first.data, first.timestamp)
        self.following = [
            (each.data, (each.timestamp - first.timestamp) & 0xFFFFFFFF) for each in following
        ]
        """Data of each following frame, and how much later than the first it is."""


class ConcealingH264Decoder(H264Decoder):
    """Decodes `H264Frames`, and frames whose key frame is missing."""

    def __init__(self) -> None:
        """Open the decoder."""
        super().__init__()
        self._incomplete = IncompleteFrames(self.codec, _INCOMPLETE_AFTER_S)

    def decode(self, encoded_frame: JitterFrame) -> list[Frame]:
        """Decode one or more frames.

        Raises:
            av.FFmpegError: If none can be decoded.
        """
        following = encoded_frame.following if isinstance(encoded_frame, H264Frames) else ()
        frames: list[Frame] = []
        problem: av.FFmpegError | None = None
        for data, offset in ((encoded_frame.data, 0), *following):
            timestamp = encoded_frame.timestamp + offset
            try:
                decoded = super().decode(JitterFrame(data, timestamp))
            except av.FFmpegError as error:
                problem = error
            else:
                self._incomplete.count(len(decoded), timestamp / _CLOCK_RATE)
                frames += decoded
        if problem and not frames:
            raise problem
        return frames


def is_h264(data: bytes) -> bool:
    """Return whether a depacketized frame is one of H.264."""
    return data.startswith(_START)


def is_h264_key_frame(data: bytes) -> bool:
    """Return whether a frame contains an IDR slice."""
    return _IDR_SLICE.search(data) is not None


def is_recovery_point(data: bytes) -> bool:
    """Return whether decoding can begin at a frame that is no key frame (section D.2.8).

    Encoders that do not mark recovery points repeat the parameter sets there.
    """
    # Empty NAL units are not valid.
    for nal in filter(None, _NAL_START.split(data)[1:]):
        kind = nal[0] & 0x1F
        if kind == _SEQUENCE_PARAMETERS or (kind == _SEI and _RECOVERY_POINT in _sei_types(nal)):
            return True
    return False


def _sei_types(nal: bytes) -> list[int]:
    """Return the payload types of an SEI NAL unit (section 7.3.2.3.1)."""
    # Without the bytes that prevent start codes (section 7.4.1), and the trailing bits.
    data = nal[1:].replace(b"\0\0\3", b"\0\0").rstrip(b"\0")[:-1]
    types: list[int] = []
    at = 0
    while at < len(data):
        numbers = [0, 0]
        for index in range(2):
            while at < len(data) and data[at] == 0xFF:
                numbers[index] += 0xFF
                at += 1
            numbers[index] += data[at] if at < len(data) else 0
            at += 1
        types.append(numbers[0])
        at += numbers[1]
    return types
