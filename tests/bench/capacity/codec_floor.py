"""The least that a session can cost: its frames decoded and encoded once, and nothing else."""

import time
from fractions import Fraction

import av
from aiortc.codecs.vpx import Vp8Decoder, vp8_depayload
from aiortc.jitterbuffer import JitterFrame
from av.video.codeccontext import VideoCodecContext

from stream.video.vp8 import open_libvpx, sufficient_bit_rate
from tests.bench.capacity import load
from tests.support.load.encoded_footage import CLOCK_RATE, encode_footage
from tests.support.load.footage import footage_path


def codec_floor_ms(sessions: int = 1) -> float:
    """Return the CPU time of decoding and encoding a frame as the server does, in milliseconds.

    The frames are those of the load generator, at its rate.

    Args:
        sessions: How many sessions' frames are decoded and encoded in turn, each by codecs of its
            own. The codecs of one find their last frames in the processor's cache, those of many
            do not.
    """
    payloads = encode_footage(footage_path(), load.WIDTH, load.HEIGHT, load.RATE, load.SEND_BPS)
    frames = [b"".join(map(vp8_depayload, frame)) for frame in payloads]
    codecs = [(Vp8Decoder(), _open_encoder()) for _ in range(sessions)]
    begun = time.process_time()
    for number, data in enumerate(frames):
        timestamp = number * CLOCK_RATE // load.RATE
        for decoder, encoder in codecs:
            for frame in decoder.decode(JitterFrame(data, timestamp)):
                assert isinstance(frame, av.VideoFrame)
                encoder.encode(frame)
    return (time.process_time() - begun) / (len(frames) * sessions) * 1e3


def _open_encoder() -> VideoCodecContext:
    encoder = open_libvpx(load.WIDTH, load.HEIGHT, sufficient_bit_rate(load.WIDTH, load.HEIGHT))
    encoder.time_base = Fraction(1, CLOCK_RATE)
    return encoder
