"""libvpx, set to encode VP8 (RFC 6386) live: at little cost, and with drawn type kept sharp."""

from typing import TypeAlias

import av
from av.video.codeccontext import VideoCodecContext

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
