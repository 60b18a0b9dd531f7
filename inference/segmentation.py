"""Segments of a picture: parts of about one colour that hang together, and patches cut from them.

SLIC is Achanta et al., SLIC Superpixels Compared to State-of-the-Art Superpixel Methods, TPAMI
2012. Numbers of segments, what counts as the same segment, and the grey are those of Ghorbani et
al., Towards Automatic Concept-based Explanations, NeurIPS 2019, and of their code.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import slic

from models.preprocessing import squeeze

RESOLUTIONS = (15, 50, 80)
"""About how many segments a picture is cut into, once each."""


GREY = 117
"""Grey level of all that is no part of a patch."""


_SAME = 0.5
"""Segments that have more in common than this are one: what both cover over what either does."""


_COMPACTNESS, _SIGMA = 20.0, 1.0
"""How much nearness weighs against colour, and how far the picture is smoothed before, in
pixels."""


def segment(pixels: NDArray[np.uint8], count: int) -> NDArray[np.int32]:
    """Cut a picture into about so many segments.

    Args:
        pixels: RGB, uint8 [H, W, 3].
        count: One at least. SLIC starts from a regular lattice, so there may be fewer or more.

    Returns:
        int32 [H, W]: the segment of each pixel. Every number from 0 to the largest occurs.

    Raises:
        ValueError: If the picture is no such picture or the count is below 1.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ValueError(f"a picture is uint8 [H, W, 3], not {pixels.dtype} {pixels.shape}")
    if count < 1:
        raise ValueError(f"a picture has one segment at least, not {count}")
    if min(pixels.shape[:2]) == 1:  # SLIC's lattice needs two dimensions.
        return np.zeros(pixels.shape[:2], np.int32)
    found = slic(pixels, count, compactness=_COMPACTNESS, sigma=_SIGMA, start_label=0)
    _, labels = np.unique(found, return_inverse=True)
    return np.asarray(labels, np.int32).reshape(pixels.shape[:2])


def distinct(segmentations: Sequence[NDArray[np.int32]]) -> NDArray[np.bool_]:
    """Gather the segments of one picture, leaving out those that are nearly there already.

    A segment is left out if it has a Jaccard index over 0.5 with one that was taken before.

    Args:
        segmentations: What `segment` returned at each resolution, [H, W] each, the coarsest first.

    Returns:
        bool [P, H, W]: where each segment is. All of the first segmentation are among them, so
        that together they cover the picture.
    """
    taken: list[NDArray[np.intp]] = []
    for index, labels in enumerate(segmentations):
        new = np.ones(labels.max() + 1, bool)
        for before, numbers in zip(segmentations[:index], taken, strict=True):
            new &= (_jaccard(labels, before)[:, numbers] <= _SAME).all(axis=1)
        taken.append(np.flatnonzero(new))
    return np.concatenate(
        [
            labels == numbers[:, None, None]
            for labels, numbers in zip(segmentations, taken, strict=True)
        ]
    )


def patch(pixels: NDArray[np.uint8], mask: NDArray[np.bool_], side: int) -> NDArray[np.uint8]:
    """Cut a segment out, on grey, and make it as large as a picture.

    It is cropped to its box, whose last row and column are its own, and squeezed into the square
    as pictures are: its aspect ratio is not kept, neither in the authors' code.

    Args:
        pixels: RGB, uint8 [H, W, 3].
        mask: Where the segment is, bool [H, W].
        side: Of the patch, in pixels.

    Returns:
        uint8 [side, side, 3].

    Raises:
        ValueError: If the segment has no pixel.
    """
    if not mask.any():
        raise ValueError("a segment has one pixel at least")
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    cut = np.where(mask[box][..., None], pixels[box], np.uint8(GREY))
    return squeeze(np.asarray(cut, np.uint8), side)


def _jaccard(some: NDArray[np.int32], others: NDArray[np.int32]) -> NDArray[np.float64]:
    """What each two segments both cover over what either does, [S, O]."""
    shape = some.max() + 1, others.max() + 1
    pairs = np.bincount((some * shape[1] + others).ravel(), minlength=shape[0] * shape[1])
    both = pairs.reshape(shape)
    either = both.sum(axis=1)[:, None] + both.sum(axis=0) - both
    return np.asarray(both / either, np.float64)
