"""The colours of maps: what a value from 0 to 1 looks like over a picture.

The colours are those of "viridis" by Smith, van der Walt and Firing (matplotlib 1.5, 2015; CC0), as
on the page (`web/static/ramp.js`): lightness grows from dark purple to yellow, so that the
colour-blind read it too, and so does paper. Opacity grows as well, so that what mattered little is
seen as it is.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

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


def _ramp() -> NDArray[np.uint8]:
    anchors = np.array([[anchor >> shift & 0xFF for shift in (16, 8, 0)] for anchor in ANCHORS])
    places = np.linspace(0, 1, len(ANCHORS))
    values = np.linspace(0, 1, LEVELS)
    mixed = [np.interp(values, places, channel) for channel in anchors.T]
    return np.asarray(np.rint(np.stack(mixed, axis=-1)), np.uint8)


COLOURS: Final = _ramp()
"""sRGB of each value, uint8 [LEVELS, 3]: value v has the colour `COLOURS[round(255 * v)]`."""

OPACITIES: Final = (MOST_OPAQUE * np.linspace(0, 1, LEVELS) ** 0.7).astype(np.float32)
"""How much of the picture a value covers, float32 [LEVELS] in 0..1."""
