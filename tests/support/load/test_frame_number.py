"""Numbers on pictures are read again, or not at all, but never wrongly."""

from fractions import Fraction
from pathlib import Path

import av
import pytest
from aiortc.codecs.vpx import Vp8Decoder, Vp8Encoder, vp8_depayload
from aiortc.jitterbuffer import JitterFrame

from stream.video.frame import blank, planes
from tests.bench.footage import read_footage
from tests.bench.frame_number import BITS, SIDE, WIDTH, paint, read


def grey(width: int = WIDTH, height: int = 480) -> av.VideoFrame:
    frame = blank(width, height)
    for plane in planes(frame):
        plane[:] = 128
    return frame


def test_numbers_survive_vp8_on_real_footage(footage: Path) -> None:
    encoder, decoder = Vp8Encoder(), Vp8Decoder()
    encoder.target_bitrate = 250_000
    pictures = read_footage(footage, 640, 480, limit=40)
    # Beyond the middle every block changes at some step, and the last jumps to the far end.
    numbers = [*range(32_750, 32_789), 2]
    returned = []
    for position, (picture, number) in enumerate(zip(pictures, numbers, strict=True)):
        paint(picture, number)
        picture.pts, picture.time_base = position * 3000, Fraction(1, 90_000)
        payloads, timestamp = encoder.encode(picture)
        data = b"".join(vp8_depayload(payload) for payload in payloads)
        for frame in decoder.decode(JitterFrame(data, timestamp)):
            assert isinstance(frame, av.VideoFrame)
            returned.append(read(frame))
    assert returned == numbers


@pytest.mark.parametrize("number", [0, 1, 2**BITS - 1, 0xAAAA, 0x5555])
def test_a_number_is_read_as_it_was_painted(number: int) -> None:
    frame = grey(WIDTH + 48)
    paint(frame, number)
    assert read(frame) == number


def test_a_picture_without_a_number_has_none() -> None:
    frame = grey()
    assert read(frame) is None
    for level in (16, 235):
        planes(frame)[0][:] = level
        assert read(frame) is None
    assert read(grey(320, 240)) is None


@pytest.mark.parametrize("block", range(WIDTH // SIDE))
def test_a_flipped_block_is_noticed(block: int) -> None:
    frame = grey()
    paint(frame, 12_345)
    luma = planes(frame)[0][:SIDE, block * SIDE : (block + 1) * SIDE]
    luma[:] = 251 - luma
    assert read(frame) is None


def test_a_faded_number_is_not_guessed() -> None:
    frame = grey()
    paint(frame, 12_345)
    luma = planes(frame)[0][:SIDE]
    luma[:] = 128 + (luma > 128) * 24 - (luma < 128) * 24
    assert read(frame) is None


@pytest.mark.parametrize(("number", "width"), [(-1, WIDTH), (2**BITS, WIDTH), (5, WIDTH - 2)])
def test_what_cannot_be_painted_is_refused(number: int, width: int) -> None:
    with pytest.raises(ValueError):
        paint(grey(width), number)
