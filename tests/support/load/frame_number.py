"""Numbers drawn into frames that survive a lossy codec.

The top rows of a frame contain a row of black and white blocks, one per bit: the number as a Gray
code, so that few blocks change from one frame to the next, and four parity bits, each over every
fourth bit of the code.
"""

import av
import numpy as np

from stream.video import yuv_planes

BITS = 16
PARITY_BITS = 4
SIDE = 32
"""Side of a block, in pixels."""
WIDTH = SIDE * (BITS + PARITY_BITS)
"""Minimum width of a frame, in pixels."""

_BLACK, _WHITE, _GREY = 16, 235, 128
_MARGIN = 8
"""Pixels at the edges of a block that are ignored: the codec and its loop filter blur them."""
_MIN_CONTRAST = 40
_PARITY_MASK = 0b0101
"""Added to the parity, so that neither an all-black nor an all-white strip is a valid number."""


def draw_number(frame: av.VideoFrame, number: int) -> None:
    """Draw a number into a frame.

    Args:
        frame: A yuv420p frame, at least `WIDTH` wide; modified in place.
        number: From 0 to 2 ** `BITS` - 1.

    Raises:
        ValueError: If the number is out of range or the frame too narrow.
    """
    if not 0 <= number < 1 << BITS:
        raise ValueError(f"frame numbers are between 0 and {(1 << BITS) - 1}, not {number}")
    if frame.width < WIDTH:
        raise ValueError(f"a numbered frame needs a width of {WIDTH} pixels, not {frame.width}")
    luma, *chroma = yuv_planes(frame)
    luma[:SIDE, :WIDTH] = np.repeat(np.where(_bits(number), _WHITE, _BLACK), SIDE)
    for plane in chroma:
        plane[: SIDE // 2, : WIDTH // 2] = _GREY


def read_number(frame: av.VideoFrame) -> int | None:
    """Read the number of a frame, or None if it has none or is damaged."""
    if frame.width < WIDTH or frame.height < SIDE:
        return None
    strip = yuv_planes(frame)[0][_MARGIN : SIDE - _MARGIN, :WIDTH]
    blocks = strip.reshape(-1, BITS + PARITY_BITS, SIDE)[..., _MARGIN : SIDE - _MARGIN]
    brightness = blocks.mean(axis=(0, 2)) - _GREY
    if np.abs(brightness).min() < _MIN_CONTRAST:
        return None
    bits = brightness > 0
    number = _from_gray(int(bits[:BITS] @ (1 << np.arange(BITS))))
    return number if (bits == _bits(number)).all() else None


def _bits(number: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return the blocks of a number from left to right, True for white."""
    gray = number ^ (number >> 1)
    parity = _PARITY_MASK
    for shift in range(0, BITS, PARITY_BITS):
        parity ^= gray >> shift
    code = gray | (parity & ((1 << PARITY_BITS) - 1)) << BITS
    return (code >> np.arange(BITS + PARITY_BITS) & 1).astype(np.bool_)


def _from_gray(gray: int) -> int:
    number = 0
    while gray:
        number ^= gray
        gray >>= 1
    return number
