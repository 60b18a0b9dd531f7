"""Numbers drawn into pictures, to be read again after a lossy codec.

The top rows carry a row of black and white blocks, a bit each: the number as a Gray code, so that
few blocks change from one picture to the next, and the parity of each fourth bit of it.
"""

import av
import numpy as np

from stream.video.frame import planes

BITS = 16
PARITY_BITS = 4
SIDE = 32
"""Pixels of a block's side."""
WIDTH = SIDE * (BITS + PARITY_BITS)
"""The least width of a picture, in pixels."""

_BLACK, _WHITE, _GREY = 16, 235, 128
_MARGIN = 8
"""What of a block's edge is not read: the codec smears it, its loop filter too."""
_LEAST_CONTRAST = 40
_PARITY_BIASES = 0b0101
"""Added to the parity, so that neither a black strip nor a white one is a number."""


def paint(frame: av.VideoFrame, number: int) -> None:
    """Write a number into a picture.

    Args:
        frame: yuv420p, at least `WIDTH` wide; its memory is written to.
        number: From 0 to 2 ** `BITS` - 1.

    Raises:
        ValueError: If the number is out of range, or the picture too narrow.
    """
    if not 0 <= number < 1 << BITS:
        raise ValueError(f"a frame's number is in 0..{(1 << BITS) - 1}, not {number}")
    if frame.width < WIDTH:
        raise ValueError(f"a numbered picture is {WIDTH} pixels wide at least, not {frame.width}")
    luma, *chroma = planes(frame)
    luma[:SIDE, :WIDTH] = np.repeat(np.where(_bits(number), _WHITE, _BLACK), SIDE)
    for plane in chroma:
        plane[: SIDE // 2, : WIDTH // 2] = _GREY


def read(frame: av.VideoFrame) -> int | None:
    """Read a picture's number; None if it has none, or it was damaged."""
    if frame.width < WIDTH or frame.height < SIDE:
        return None
    strip = planes(frame)[0][_MARGIN : SIDE - _MARGIN, :WIDTH]
    blocks = strip.reshape(-1, BITS + PARITY_BITS, SIDE)[..., _MARGIN : SIDE - _MARGIN]
    brightness = blocks.mean(axis=(0, 2)) - _GREY
    if np.abs(brightness).min() < _LEAST_CONTRAST:
        return None
    bits = brightness > 0
    number = _from_gray(int(bits[:BITS] @ (1 << np.arange(BITS))))
    return number if (bits == _bits(number)).all() else None


def _bits(number: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """The blocks of a number, from left to right."""
    gray = number ^ (number >> 1)
    parity = _PARITY_BIASES
    for shift in range(0, BITS, PARITY_BITS):
        parity ^= gray >> shift
    word = gray | (parity & ((1 << PARITY_BITS) - 1)) << BITS
    return (word >> np.arange(BITS + PARITY_BITS) & 1).astype(np.bool_)


def _from_gray(gray: int) -> int:
    number = 0
    while gray:
        number ^= gray
        gray >>= 1
    return number
