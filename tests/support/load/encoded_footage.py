"""Real footage as a camera's encoder sends it: VP8, cut into RTP payloads, ready to be replayed."""

from fractions import Fraction
from pathlib import Path

import av
from aiortc.codecs.vpx import Vp8Encoder
from av.video.codeccontext import VideoCodecContext

from tests.bench.footage import read_footage

TICKS_PER_S = 90_000
"""RFC 7741, section 4.1."""

_MOST_S = 5
"""Of a clip, what is encoded."""

Picture = list[bytes]
"""The payloads of one picture's RTP packets."""


def encode_footage(path: Path, width: int, height: int, rate: int, bit_rate: int) -> list[Picture]:
    """Encode a clip, its first picture a key frame, so that it can be sent over and over.

    Args:
        path: Of the clip.
        width: Of the pictures, in pixels.
        height: Of the pictures, in pixels.
        rate: Pictures a second; the clip's own speed is kept as near as its pictures allow.
        bit_rate: In bits a second.
    """
    with av.open(str(path)) as container:
        own_rate = container.streams.video[0].average_rate or Fraction(rate)
    pictures = read_footage(path, width, height, limit=int(_MOST_S * own_rate))
    seconds = len(pictures) / own_rate
    chosen = [pictures[int(place * own_rate / rate)] for place in range(int(seconds * rate))]
    encoder = _encoder(width, height, rate, bit_rate)
    packer = Vp8Encoder()
    encoded = []
    for number, picture in enumerate(chosen):
        picture.pts, picture.time_base = number, Fraction(1, rate)
        for packet in encoder.encode(picture):
            encoded.append(packer.pack(packet)[0])
    return encoded


def _encoder(width: int, height: int, rate: int, bit_rate: int) -> VideoCodecContext:
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, rate), Fraction(rate)
    encoder.bit_rate, encoder.gop_size = bit_rate, 1 << 15
    encoder.options = {"deadline": "realtime", "cpu-used": "-4", "lag-in-frames": "0"}
    return encoder
