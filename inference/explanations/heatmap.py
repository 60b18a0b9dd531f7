"""Heat maps over images: the colour map, its opacity, and painting.

The colours are those of "viridis" by Smith, van der Walt and Firing (matplotlib 1.5, 2015; CC0), as
on the page (`web/static/js/heatmaps/colormap.js`). Lightness grows from dark purple to yellow, so
the maps can be read by the colour-blind and in print. Opacity grows as well, so that regions that
mattered little stay visible.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.explanations.map import Map, downsample

LEVELS: Final = 256

COLOUR_STOPS: Final = (
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
"""0xRRGGBB, from 0 to 1 at even distances; the colours between them are interpolated."""

MAX_OPACITY: Final = 0.74
"""Opacity at 1, at which the image is still recognisable."""

OPACITIES: Final = (MAX_OPACITY * np.linspace(0, 1, LEVELS) ** 0.7).astype(np.float32)
"""Opacity of each level, float32 [LEVELS] in 0..1."""


def _colormap() -> NDArray[np.uint8]:
    stops = np.array([[stop >> shift & 0xFF for shift in (16, 8, 0)] for stop in COLOUR_STOPS])
    places = np.linspace(0, 1, len(COLOUR_STOPS))
    values = np.linspace(0, 1, LEVELS)
    channels = [np.interp(values, places, channel) for channel in stops.T]
    return np.asarray(np.rint(np.stack(channels, axis=-1)), np.uint8)


COLORMAP: Final = _colormap()
"""sRGB of each level, uint8 [LEVELS, 3]: value v has the colour `COLORMAP[round(255 * v)]`."""


def paint(image: NDArray[np.uint8], heat: Map) -> NDArray[np.uint8]:
    """Paint a map over an image; its peak gets the last colour of the colour map.

    Args:
        image: RGB, uint8 [H, W, 3].
        heat: A map of any resolution; interpolated smoothly, and downsampled first as in
            `Map.to_json`. An all-zero map leaves the image unchanged.

    Returns:
        uint8 [H, W, 3].
    """
    levels = to_levels(heat, image.shape[0], image.shape[1])
    opacity = OPACITIES[levels][..., None]
    mixed = image * (1 - opacity) + COLORMAP[levels] * opacity
    return np.rint(mixed).astype(np.uint8)


def to_levels(heat: Map, height: int, width: int) -> NDArray[np.uint8]:
    """Resize a map smoothly and scale its peak to `LEVELS` - 1: uint8 [height, width]."""
    values = downsample(heat.values)
    peak = float(values.max())
    if peak <= 0:
        return np.zeros((height, width), np.uint8)
    shrinks = values.shape[0] > height or values.shape[1] > width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    # Cubic interpolation overshoots.
    resized = np.clip(cv2.resize(values / peak, (width, height), interpolation=method), 0, 1)
    return np.rint(resized * (LEVELS - 1)).astype(np.uint8)
