"""A map over its picture."""

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.explanations.colours import COLOURS, LEVELS, OPACITIES
from inference.explanations.map import Map, pooled


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
