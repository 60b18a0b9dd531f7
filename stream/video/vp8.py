"""libvpx, set to encode VP8 (RFC 6386) live: at little cost, and with drawn type kept sharp.

VP8 (RFC 6386) encoded once for everybody who watches, by libvpx.

VP8 for one who sees their own stream: aiortc's encoder, with settings that cost less.

aiortc has libvpx take the noise out of what it encodes, which costs a sixth of the time, and here
is the picture's loss: the type drawn into it is no noise. Without that, and at a higher fixed
speed, footage of 640x480 takes 3.4 ms a picture instead of 5.7 at 1.5 Mbit/s, and 2.4 instead of
4.6 at 1 Mbit/s, and is 2 to 3 dB nearer to what was encoded.
"""

from fractions import Fraction
from typing import TypeAlias

import aiortc.codecs
import av
from aiortc.codecs.vpx import MIN_BITRATE, Vp8Encoder
from aiortc.mediastreams import VIDEO_TIME_BASE
from av.frame import Frame
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from stream.video.frame import blank, converted, planes

VideoPacket: TypeAlias = "av.Packet[av.VideoStream]"

_OPTIONS = {
    # A picture is out before the next one comes.
    "deadline": "realtime",
    "lag-in-frames": "0",
    # A fixed speed; at -6, which aiortc takes, a picture costs half as much again for 0.9 dB.
    "cpu-used": "-12",
    # What is encoded has type drawn into it, which is no noise; the filter costs a fifth more.
    "noise-sensitivity": "0",
    "static-thresh": "1",
    # A key frame for one who joins is a burst for all: no more than 4.5 pictures' worth, which is
    # how libwebrtc bounds it at 15 pictures a second.
    "max-intra-rate": "450",
    "undershoot-pct": "100",
    "overshoot-pct": "15",
}

_BITS_PER_PIXEL = 3.3
CLOCK_RATE = 90_000
"""Ticks a second of all time stamps, as RTP has them for video (RFC 7741, section 4.1)."""

_TIME_BASE = Fraction(1, CLOCK_RATE)

_LEAST_BPS, _MOST_BPS = 250_000, 4_000_000
"""aiortc's own 0.5 Mbit/s is where a call begins, before the line is known; what many watch cannot
follow the line of one."""

_LONGEST_TICKS = CLOCK_RATE
_CHANGE = 0.1
"""Of the rate of bits: a smaller one is not worth the key frame with which an encoder begins."""


def enough_bps(width: int, height: int) -> int:
    """Bits a second beyond which a picture gains little.

    About 1 Mbit/s at 640x480: footage at 15 pictures a second is then 46 dB near, where what was
    encoded is hard to tell from it, and at 1.5 Mbit/s costs half as much again.
    """
    return int(width * height * _BITS_PER_PIXEL)


def open_libvpx(width: int, height: int, bit_rate: int) -> VideoCodecContext:
    """Open an encoder, whose key frames come when they are asked for.

    Args:
        width: Of the pictures.
        height: Of the pictures.
        bit_rate: In bits a second; it is held, with room for a second of it.
    """
    codec = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.bit_rate = bit_rate
    codec.gop_size = 3000
    codec.qmin, codec.qmax = 2, 56
    # Several streams are encoded beside one another: threads within one would only cost more.
    codec.thread_count = 1
    # Equal rates make libvpx hold the rate.
    rates = {"minrate": str(bit_rate), "maxrate": str(bit_rate), "bufsize": str(bit_rate)}
    codec.options = {**_OPTIONS, **rates}
    return codec


def fits(codec: VideoCodecContext, frame: av.VideoFrame) -> bool:
    """Whether a codec encodes pictures of a frame's size."""
    return (codec.width, codec.height) == (frame.width, frame.height)


class SharedVp8Encoder:
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


class LiveVp8Encoder(Vp8Encoder):
    """Follows what the peer says that it can receive, as aiortc's own does."""

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """Encode a picture; see `Vp8Encoder`.

        Returns:
            The payloads of its RTP packets (RFC 7741), and its time in 1/90000 s.
        """
        assert isinstance(frame, av.VideoFrame)
        frame = converted(frame, "yuv420p")
        if force_keyframe:
            frame.pict_type = PictureType.I
        rate = _rate(frame, self.target_bitrate)
        if self.codec is None or not (fits(self.codec, frame) and _follows(self.codec, rate)):
            self.codec = open_libvpx(frame.width, frame.height, rate)
        encoded = b"".join(map(bytes, self.codec.encode(frame)))
        payloads = self._packetize(encoded, self.picture_id)
        self.picture_id = (self.picture_id + 1) % (1 << 15)
        assert frame.pts is not None and frame.time_base is not None
        return payloads, round(frame.pts * frame.time_base / VIDEO_TIME_BASE)


def encode_lightly() -> None:
    """Let every sender of this process that encodes VP8 do it with these settings."""
    aiortc.codecs.Vp8Encoder = LiveVp8Encoder  # type: ignore[attr-defined]


def _rate(frame: av.VideoFrame, target: int) -> int:
    """What the peer can receive, or what is enough for pictures of this size."""
    return min(target, max(MIN_BITRATE, enough_bps(frame.width, frame.height)))


def _follows(codec: VideoCodecContext, rate: int) -> bool:
    return abs(rate - (codec.bit_rate or 0)) <= _CHANGE * rate
