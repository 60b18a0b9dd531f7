"""The one way in which a picture becomes the encoder's input."""

import cv2
import numpy as np
from numpy.typing import NDArray


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
