"""The one way in which a picture becomes the encoder's input.

The ways in which a training picture is shown: whole, mirrored, cropped.
"""

import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

_AREA = (0.6, 1.0)
_RATIO = (0.85, 1.18)


def squeeze(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize to a square without keeping the aspect ratio, as the training pictures were.

    Args:
        image: RGB, uint8 [H, W, 3].
        side: Pixels of the square's side.

    Returns:
        uint8 [side, side, 3].
    """
    smaller = image.shape[0] > side and image.shape[1] > side
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (side, side), interpolation=method), np.uint8)


def is_mirrored(view: int) -> bool:
    """Whether a view is flipped left to right: every second one is."""
    return view % 2 == 1


def look(image: NDArray[np.uint8], name: str, view: int) -> NDArray[np.uint8]:
    """Show a picture in one of its views, the same whenever it is asked for.

    Args:
        image: RGB, uint8 [H, W, 3].
        name: The picture's name, from which its crops are drawn.
        view: 0 is the whole picture and 1 its mirror image; from 2 on, crops of 60 to 100 % of its
            area that hardly change its shape, every second one mirrored.

    Returns:
        uint8 [h, w, 3], not resized.
    """
    if view > 1:
        image = _crop(image, np.random.default_rng((zlib.crc32(name.encode()), view)))
    return image[:, ::-1] if is_mirrored(view) else image


def _crop(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    area, ratio = random.uniform(*_AREA), np.exp(random.uniform(*np.log(_RATIO)))
    height, width = image.shape[:2]
    tall = min(height, round(height * (area / ratio) ** 0.5))
    wide = min(width, round(width * (area * ratio) ** 0.5))
    top, left = random.integers(height - tall + 1), random.integers(width - wide + 1)
    return image[top : top + tall, left : left + wide]
