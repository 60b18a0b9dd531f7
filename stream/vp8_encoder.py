"""VP8 (RFC 6386) encoded once for everybody who watches, by libvpx."""

from fractions import Fraction
from typing import TypeAlias

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from stream.conversion import converted
from stream.yuv import blank, planes

VideoPacket: TypeAlias = "av.Packet[av.VideoStream]"

CLOCK_RATE = 90_000
"""Ticks a second of all time stamps, as RTP has them for video (RFC 7741, section 4.1)."""

_TIME_BASE = Fraction(1, CLOCK_RATE)
_BITS_PER_PIXEL = 3.3
"""A second: about 1 Mbit/s at 640x480, where moving footage is hard to tell from what was encoded
(47 dB at 15 pictures a second). aiortc's own 0.5 Mbit/s is where a call begins, before the line is
known; what many watch cannot follow the line of one."""
_LEAST_BPS, _MOST_BPS = 250_000, 4_000_000
_LONGEST_TICKS = CLOCK_RATE

_OPTIONS = {
    # A picture is out before the next one comes.
    "deadline": "realtime",
    "lag-in-frames": "0",
    # A fixed speed. At -6, which aiortc takes, a picture costs a twelfth more and gains 0.4 dB.
    "cpu-used": "-8",
    # What is encoded has type drawn into it, and costs a fifth more with the noise filter.
    "noise-sensitivity": "0",
    "static-thresh": "1",
    # A key frame for one who joins is a burst for all: no more than 4.5 pictures' worth, which is
    # how libwebrtc bounds it at 15 pictures a second.
    "max-intra-rate": "450",
    "undershoot-pct": "100",
    "overshoot-pct": "15",
}


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
        if self._codec is None or not _fits(self._codec, frame):
            self._codec = _open(frame.width, frame.height)
        packets = self._codec.encode(frame)
        self._stamp = stamp
        return packets[0] if packets else None


def _open(width: int, height: int) -> VideoCodecContext:
    codec = av.CodecContext.create("libvpx", "w")
    assert isinstance(codec, VideoCodecContext)
    bps = int(max(_LEAST_BPS, min(width * height * _BITS_PER_PIXEL, _MOST_BPS)))
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.time_base = _TIME_BASE
    codec.bit_rate = bps
    codec.gop_size = 3000  # Key frames come when they are asked for.
    codec.qmin, codec.qmax = 4, 56
    # Several streams are encoded beside one another: threads within one would only cost more.
    codec.thread_count = 1
    # Equal rates make libvpx hold the rate, with room for a second of it.
    rates = {"minrate": str(bps), "maxrate": str(bps), "bufsize": str(bps)}
    codec.options = {**_OPTIONS, **rates}
    return codec


def _fits(codec: VideoCodecContext, frame: av.VideoFrame) -> bool:
    return (codec.width, codec.height) == (frame.width, frame.height)


def _copy(picture: av.VideoFrame) -> av.VideoFrame:
    """Give a frame whose time and type may be set: others hold the picture too."""
    source = converted(picture, "yuv420p")
    copied = blank(source.width, source.height)
    for plane, target in zip(planes(source), planes(copied), strict=True):
        target[:] = plane
    return copied
