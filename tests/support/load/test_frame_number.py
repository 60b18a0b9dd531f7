"""Frame numbers are read correctly or not at all."""

from fractions import Fraction
from pathlib import Path

import av
import pytest
from aiortc.codecs.vpx import Vp8Decoder, Vp8Encoder, vp8_depayload
from aiortc.jitterbuffer import JitterFrame

from stream.video import blank_frame, yuv_planes
from tests.support.load.footage import read_footage
from tests.support.load.frame_number import BITS, SIDE, WIDTH, draw_number, read_number


def grey(width: int = WIDTH, height: int = 480) -> av.VideoFrame:
    frame = blank_frame(width, height)
    for plane in yuv_planes(frame):
        plane[:] = 128
    return frame


def test_numbers_survive_vp8_on_real_footage(footage: Path) -> None:
    encoder, decoder = Vp8Encoder(), Vp8Decoder()
    encoder.target_bitrate = 250_000
    frames = read_footage(footage, 640, 480, limit=40)
    # Around half of the range each block changes at some step; the last number is far away.
    numbers = [*range(32_750, 32_789), 2]
    returned = []
    for position, (frame, number) in enumerate(zip(frames, numbers, strict=True)):
        draw_number(frame, number)
        frame.pts, frame.time_base = position * 3000, Fraction(1, 90_000)
        payloads, timestamp = encoder.encode(frame)
        data = b"".join(vp8_depayload(payload) for payload in payloads)
        for decoded in decoder.decode(JitterFrame(data, timestamp)):
            assert isinstance(decoded, av.VideoFrame)
            returned.append(read_number(decoded))
    assert returned == numbers


@pytest.mark.parametrize("number", [0, 1, 2**BITS - 1, 0xAAAA, 0x5555])
def test_a_number_is_read_as_drawn(number: int) -> None:
    frame = grey(WIDTH + 48)
    draw_number(frame, number)
    assert read_number(frame) == number


def test_a_frame_without_a_number_has_none() -> None:
    frame = grey()
    assert read_number(frame) is None
    for level in (16, 235):
        yuv_planes(frame)[0][:] = level
        assert read_number(frame) is None
    assert read_number(grey(320, 240)) is None


@pytest.mark.parametrize("block", range(WIDTH // SIDE))
def test_a_flipped_block_is_detected(block: int) -> None:
    frame = grey()
    draw_number(frame, 12_345)
    luma = yuv_planes(frame)[0][:SIDE, block * SIDE : (block + 1) * SIDE]
    luma[:] = 251 - luma
    assert read_number(frame) is None


def test_a_faded_number_is_not_guessed() -> None:
    frame = grey()
    draw_number(frame, 12_345)
    luma = yuv_planes(frame)[0][:SIDE]
    luma[:] = 128 + (luma > 128) * 24 - (luma < 128) * 24
    assert read_number(frame) is None


@pytest.mark.parametrize(("number", "width"), [(-1, WIDTH), (2**BITS, WIDTH), (5, WIDTH - 2)])
def test_invalid_numbers_and_widths_are_refused(number: int, width: int) -> None:
    with pytest.raises(ValueError, match="frame"):
        draw_number(grey(width), number)
