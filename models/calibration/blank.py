"""Blank images, in which there is nothing to describe: a test for them, and examples to fit on."""

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE = 32
"""Blank images are recognised in a thumbnail of this size, in which noise is averaged out."""

_CONTRAST = 10.0
"""Least contrast of an image that is not blank, in grey levels of 0 to 255. The largest contrast in
each of 8,000 photographs of Flickr8k, COCO and PASCAL was at least 26; that of gradients, covered
lenses and the noise of cameras in the dark at most 7."""


def is_blank(image: NDArray[np.uint8]) -> bool:
    """Return whether an image is plain or changes only smoothly, apart from a camera's noise.

    So it is if in a thumbnail no cell differs by `_CONTRAST` from the mean of its neighbourhood of
    3 by 3 cells, in any colour.

    Args:
        image: RGB, uint8 [H, W, 3] of any size.
    """
    small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    contrast = np.abs(small - cv2.blur(small, (3, 3)))
    # At the edge a gradient would differ from its neighbourhood, which is on one side.
    return bool(contrast[1:-1, 1:-1].max() < _CONTRAST)


def blank_images(side: int) -> NDArray[np.uint8]:
    """Make images without any object, uint8 [N, side, side, 3].

    Plain walls, walls lit from one side or from the front, the noise of a camera in the dark, and
    static, which is not blank in the sense of `is_blank`.
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
