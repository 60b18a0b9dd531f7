"""Resizing of images to the encoder's input, and the augmented views used in training."""

import math
import zlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

_CROP_AREA = (0.4, 1.0)
_CROP_RATIO = (0.75, 1.33)

_CONTRAST = (0.7, 1.3)
_SATURATION = (0.5, 1.3)
_BRIGHTNESS = (-30.0, 30.0)
"""Added to each pixel, in grey levels. Hues stay as they are, since captions name colours."""


def resize_to_square(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize an image to a square without keeping the aspect ratio, as in training.

    Args:
        image: RGB, uint8 [H, W, 3].
        side: Side of the square in pixels.

    Returns:
        uint8 [side, side, 3].
    """
    smaller = image.shape[0] > side and image.shape[1] > side
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (side, side), interpolation=method), np.uint8)


def resize_to_fit(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Reduce an image [H, W, 3] so that its longer side has at most `side` pixels.

    The aspect ratio is kept; a smaller image is returned as it is.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(scale * width)), max(1, round(scale * height))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def fit_size(width: int, height: int, max_pixels: int) -> tuple[int, int]:
    """Return the size of an image scaled down to a number of pixels; its own size if it fits.

    Args:
        width: In pixels.
        height: In pixels.
        max_pixels: Maximum width times height.

    Returns:
        Width and height, both even if the image has to be scaled, as video frames need them.
    """
    if width * height <= max_pixels:
        return width, height
    scale = math.sqrt(max_pixels / (width * height))
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


@dataclass(frozen=True, slots=True)
class Resizing:
    """How a captioner's images are resized: frames before they are sent to it, and all others."""

    side: int
    """Of the result: of the square, or its longer side, in pixels."""
    is_square: bool = True
    """Whether the result is a square, without the image's aspect ratio; otherwise the ratio is kept
    and a small image stays as it is, see `resize_to_fit`."""
    pillow_filter: int | None = None
    """Filter of Pillow that resizes to the square, `PIL.Image.Resampling`; None for
    `resize_to_square`, as in training."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize an image, RGB, uint8 [H, W, 3]. One that was resized before stays the same."""
        if not self.is_square:
            return resize_to_fit(image, self.side)
        if self.pillow_filter is None:
            return resize_to_square(image, self.side)
        filtered = Image.Resampling(self.pillow_filter)
        return np.asarray(Image.fromarray(image).resize((self.side, self.side), filtered), np.uint8)


def is_mirrored(view: int) -> bool:
    """Return whether a view is flipped left to right: every second one is."""
    return view % 2 == 1


def augmented_view(image: NDArray[np.uint8], name: str, view: int) -> NDArray[np.uint8]:
    """Return one of an image's augmented views. The result is deterministic.

    Args:
        image: RGB, uint8 [H, W, 3].
        name: The image's name, which seeds its crops.
        view: 0 is the whole image and 1 its mirror image. From 2 on, crops of 40 to 100 % of its
            area with an aspect ratio changed by at most a third, in another light, every second
            one mirrored.

    Returns:
        uint8 [h, w, 3], not resized.
    """
    if view > 1:
        random = np.random.default_rng((zlib.crc32(name.encode()), view))
        image = _change_light(_crop(image, random), random)
    return image[:, ::-1] if is_mirrored(view) else image


def _crop(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    area, ratio = random.uniform(*_CROP_AREA), np.exp(random.uniform(*np.log(_CROP_RATIO)))
    height, width = image.shape[:2]
    crop_height = min(height, round(height * (area / ratio) ** 0.5))
    crop_width = min(width, round(width * (area * ratio) ** 0.5))
    top = random.integers(height - crop_height + 1)
    left = random.integers(width - crop_width + 1)
    return image[top : top + crop_height, left : left + crop_width]


def _change_light(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Change the brightness, the contrast and the saturation."""
    pixels = image.astype(np.float32)
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    pixels = grey[..., None] + random.uniform(*_SATURATION) * (pixels - grey[..., None])
    mean = grey.mean()
    pixels = mean + random.uniform(*_CONTRAST) * (pixels - mean) + random.uniform(*_BRIGHTNESS)
    changed: NDArray[np.uint8] = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return changed
