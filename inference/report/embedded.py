"""Pictures inside a page, as data URIs."""

import base64
import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.report.markup import Content, Markup, element

LARGEST = 640
"""Pixels of the longer side of a picture in a page."""
SMALL = 180
"""Likewise of one that stands among many."""
_QUALITY = 76
_EFFORT = 1
"""Of WebP's 0 to 6: what more takes is seen in the time, hardly in the bytes."""


def embedded(pixels: NDArray[np.uint8], alternative: str, largest: int = LARGEST) -> Markup:
    """Make an `img` that holds its picture.

    Args:
        pixels: RGB, uint8 [H, W, 3].
        alternative: What it shows, for who does not see it.
        largest: Pixels of the longer side; reduced to these.
    """
    reduced = fitted(pixels, largest)
    kept = io.BytesIO()
    Image.fromarray(reduced).save(kept, "WEBP", quality=_QUALITY, method=_EFFORT)
    height, width = reduced.shape[:2]
    return element(
        "img",
        src=f"data:image/webp;base64,{base64.b64encode(kept.getvalue()).decode()}",
        alt=alternative,
        width=width,
        height=height,
    )


def figure(
    pixels: NDArray[np.uint8], alternative: str, *legend: Content, largest: int = LARGEST
) -> Markup:
    """Make a `figure` of such a picture and what is written below it."""
    image = embedded(pixels, alternative, largest)
    return element("figure", image, element("figcaption", *legend))


def fitted(pixels: NDArray[np.uint8], largest: int) -> NDArray[np.uint8]:
    """Reduce a picture [H, W, 3] to so many pixels of its longer side; smaller ones stay."""
    height, width = pixels.shape[:2]
    scale = largest / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
