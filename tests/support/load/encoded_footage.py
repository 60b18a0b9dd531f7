"""Footage encoded beforehand: VP8 in RTP payloads, ready to be replayed."""

from fractions import Fraction
from pathlib import Path

import av
from aiortc.codecs.vpx import Vp8Encoder
from av.video.codeccontext import VideoCodecContext

from tests.support.load.footage import read_footage

CLOCK_RATE = 90_000
"""RTP clock rate of VP8, in Hz (RFC 7741, section 4.1)."""

EncodedFrame = list[bytes]
"""The payloads of a frame's RTP packets."""

_MAX_DURATION_S = 5
"""Seconds of a clip that are encoded."""


def encode_footage(
    path: Path, width: int, height: int, rate: int, bit_rate: int
) -> list[EncodedFrame]:
    """Encode a clip that starts with a key frame, so that it can be sent in a loop.

    Args:
        path: Path of the clip.
        width: Width of the frames, in pixels.
        height: Height of the frames, in pixels.
        rate: Frames per second; frames of the clip are repeated or dropped to keep its speed.
        bit_rate: Bits per second.
    """
    with av.open(str(path)) as container:
        clip_rate = container.streams.video[0].average_rate or Fraction(rate)
    frames = read_footage(path, width, height, limit=int(_MAX_DURATION_S * clip_rate))
    seconds = len(frames) / clip_rate
    resampled = [frames[int(place * clip_rate / rate)] for place in range(int(seconds * rate))]
    encoder = _create_encoder(width, height, rate, bit_rate)
    packetizer = Vp8Encoder()
    encoded = []
    for number, frame in enumerate(resampled):
        frame.pts, frame.time_base = number, Fraction(1, rate)
        for packet in encoder.encode(frame):
            encoded.append(packetizer.pack(packet)[0])
    return encoded


def _create_encoder(width: int, height: int, rate: int, bit_rate: int) -> VideoCodecContext:
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, rate), Fraction(rate)
    encoder.bit_rate, encoder.gop_size = bit_rate, 1 << 15
    encoder.options = {"deadline": "realtime", "cpu-used": "-4", "lag-in-frames": "0"}
    return encoder
