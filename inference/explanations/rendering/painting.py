"""The colours of maps: what a value from 0 to 1 looks like over a picture.

The colours are those of "viridis" by Smith, van der Walt and Firing (matplotlib 1.5, 2015; CC0), as
on the page (`web/static/ramp.js`): lightness grows from dark purple to yellow, so that the
colour-blind read it too, and so does paper. Opacity grows as well, so that what mattered little is
seen as it is.

A map over its picture.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.explanations import Map, pooled

LEVELS: Final = 256

ANCHORS: Final = (
    0x440154,
    0x472D7B,
    0x3B528B,
    0x2C728E,
    0x21918C,
    0x28AE80,
    0x5EC962,
    0xADDC30,
    0xFDE725,
)
"""0xRRGGBB, from 0 to 1 at even distances; colours between them are mixed."""

MOST_OPAQUE: Final = 0.74
"""Opacity at 1: the picture is still to be recognised."""

OPACITIES: Final = (MOST_OPAQUE * np.linspace(0, 1, LEVELS) ** 0.7).astype(np.float32)
"""How much of the picture a value covers, float32 [LEVELS] in 0..1."""


def _ramp() -> NDArray[np.uint8]:
    anchors = np.array([[anchor >> shift & 0xFF for shift in (16, 8, 0)] for anchor in ANCHORS])
    places = np.linspace(0, 1, len(ANCHORS))
    values = np.linspace(0, 1, LEVELS)
    mixed = [np.interp(values, places, channel) for channel in anchors.T]
    return np.asarray(np.rint(np.stack(mixed, axis=-1)), np.uint8)


COLOURS: Final = _ramp()
"""sRGB of each value, uint8 [LEVELS, 3]: value v has the colour `COLOURS[round(255 * v)]`."""


def paint(picture: NDArray[np.uint8], explanation: Map) -> NDArray[np.uint8]:
    """Colour a picture by a map, whose peak has the last colour of the ramp.

    Args:
        picture: RGB, uint8 [H, W, 3].
        explanation: Of any number of cells; drawn smoothly, and one that is finer as `to_json` has
            it: single pixels are not to be seen. One of zeros leaves the picture as it is.

    Returns:
        uint8 [H, W, 3].
    """
    levels = levels_of(explanation, picture.shape[0], picture.shape[1])
    opacity = OPACITIES[levels][..., None]
    mixed = picture * (1 - opacity) + COLOURS[levels] * opacity
    return np.rint(mixed).astype(np.uint8)


def levels_of(explanation: Map, height: int, width: int) -> NDArray[np.uint8]:
    """Resize a map smoothly, from 0 to `LEVELS` - 1 at its peak: [height, width]."""
    values = pooled(explanation.values)
    peak = float(values.max())
    if peak <= 0:
        return np.zeros((height, width), np.uint8)
    shrinks = values.shape[0] > height or values.shape[1] > width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    # Cubic curves swing beyond the values that they go through.
    fine = np.clip(cv2.resize(values / peak, (width, height), interpolation=method), 0, 1)
    return np.rint(fine * (LEVELS - 1)).astype(np.uint8)
