"""Changes of an image that nobody would call an attack: what a caption should survive."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from models.attacks import noise

Image = NDArray[np.uint8]

_JPEG_QUALITY = 95


def _compressed(pixels: Image, random: np.random.Generator) -> Image:
    """Store an image as JPEG of high quality and read it again."""
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])


def _shifted(pixels: Image, random: np.random.Generator) -> Image:
    """Move an image to the right by one pixel; its left column is repeated."""
    return np.concatenate([pixels[:, :1], pixels[:, :-1]], axis=1)


def _noisy(pixels: Image, random: np.random.Generator) -> Image:
    """Add or subtract one grey level at random."""
    clean = pixels[None].astype(np.float32)
    noisy = (clean + noise(random, clean, 1.0, "linf"))[0]
    return np.asarray(np.rint(noisy), np.uint8)


HARMLESS: dict[str, Callable[[Image, np.random.Generator], Image]] = {
    f"JPEG of quality {_JPEG_QUALITY}": _compressed,
    "shift by one pixel": _shifted,
    "random noise of one grey level": _noisy,
}
"""By name: a change of an RGB image, uint8 [H, W, 3], as the encoder takes it."""
