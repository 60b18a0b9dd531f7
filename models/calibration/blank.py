"""Blank images, in which there is nothing to describe: a test for them, and examples to fit on."""

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE = 32
"""Blank images are recognised in a thumbnail of this size, in which noise is averaged out."""

_RANGE = 20.0
"""Least difference between the brightest and the darkest cell of an image that is not blank, in
grey levels of 0 to 255. It was at least 43 in each of 3,331 photographs of Flickr8k, COCO and
PASCAL, and at most 15 in the noise of cameras in the dark."""


def is_blank(image: NDArray[np.uint8]) -> bool:
    """Return whether an image is of one colour, or nearly so, apart from a camera's noise.

    So it is if the cells of a thumbnail differ by less than `_RANGE`, in each colour. A gradient is
    not blank, since it may be the sky.

    Args:
        image: RGB, uint8 [H, W, 3] of any size.
    """
    small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    return bool(np.ptp(small, axis=(0, 1)).max() < _RANGE)


def blank_images(side: int) -> NDArray[np.uint8]:
    """Make images without any object, uint8 [N, side, side, 3].

    Plain walls, the noise of a camera in the dark, and two that are not blank in the sense of
    `is_blank`: walls lit from one side or from the front, and static.
    """
    down, across = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    shades = (0 * down, across, down, -across, -down, across + down, -(down**2) - across**2)
    colours = {(140, 140, 140): 80, (201, 190, 172): 25, (70, 80, 95): 25, (190, 60, 50): 25}
    walls = [
        np.array(colour) + contrast * shade[..., None]
        for colour, contrast in colours.items()
        for shade in shades
    ]
    random = np.random.default_rng(0)
    noise = [
        random.normal(mean, deviation, (side, side, 3))
        for mean, deviation in ((0, 0), (255, 0), (10, 3), (25, 6), (60, 10), (128, 20), (128, 80))
    ]
    static = [
        np.broadcast_to(random.normal(mean, deviation, (side, side, channels)), (side, side, 3))
        for mean, deviation in ((30, 25), (60, 30), (128, 40), (128, 60), (128, 80), (200, 40))
        for channels in (1, 3)
    ]
    return np.asarray(np.clip(walls + noise + static, 0, 255), np.uint8)
