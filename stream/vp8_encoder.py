"""VP8 (RFC 6386) encoded once for everybody who watches, by libvpx."""

from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from stream.conversion import converted
from stream.libvpx import VideoPacket, enough_bps, fits, open_libvpx
from stream.yuv import blank, planes

CLOCK_RATE = 90_000
"""Ticks a second of all time stamps, as RTP has them for video (RFC 7741, section 4.1)."""

_TIME_BASE = Fraction(1, CLOCK_RATE)
_LEAST_BPS, _MOST_BPS = 250_000, 4_000_000
"""aiortc's own 0.5 Mbit/s is where a call begins, before the line is known; what many watch cannot
follow the line of one."""
_LONGEST_TICKS = CLOCK_RATE


class Vp8Encoder:
    """Encodes pictures of any size and format, one after the other; blocks, so give it a thread."""

    def __init__(self) -> None:
        """Start with nothing encoded: the first packet is a key frame."""
        self._codec: VideoCodecContext | None = None
        self._stamp: int | None = None

    def encode(self, picture: av.VideoFrame, stamp: int, *, key: bool) -> "VideoPacket | None":
        """Encode a picture, which is only read.

        Args:
            picture: What to encode; when its size is another than before, a key frame begins anew.
            stamp: When it is to be shown, in ticks of 1/90000 s; later than the one before.
            key: Whether it must be a key frame.

        Returns:
            The packet, or None if libvpx left the picture out.

        Raises:
            av.FFmpegError: If it cannot be encoded.
        """
        frame = _copy(picture)
        frame.pts, frame.time_base = stamp, _TIME_BASE
        # libvpx finds the rate of pictures, and so the bits for each, by how long they last.
        since = _LONGEST_TICKS if self._stamp is None else stamp - self._stamp
        frame.duration = max(1, min(since, _LONGEST_TICKS))
        frame.pict_type = PictureType.I if key else PictureType.NONE
        if self._codec is None or not fits(self._codec, frame):
            self._codec = _open(frame.width, frame.height)
        packets = self._codec.encode(frame)
        self._stamp = stamp
        return packets[0] if packets else None


def _open(width: int, height: int) -> VideoCodecContext:
    bit_rate = max(_LEAST_BPS, min(enough_bps(width, height), _MOST_BPS))
    codec = open_libvpx(width, height, bit_rate)
    codec.time_base = _TIME_BASE
    return codec


def _copy(picture: av.VideoFrame) -> av.VideoFrame:
    """Give a frame whose time and type may be set: others hold the picture too."""
    source = converted(picture, "yuv420p")
    copied = blank(source.width, source.height)
    for plane, target in zip(planes(source), planes(copied), strict=True):
        target[:] = plane
    return copied
