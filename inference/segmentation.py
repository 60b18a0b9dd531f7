"""Segmentation of images into superpixels, and patches cut from the segments.

SLIC is by Achanta et al., SLIC Superpixels Compared to State-of-the-Art Superpixel Methods, TPAMI
2012. The numbers of segments, the threshold for duplicates and the grey are those of Ghorbani et
al., Towards Automatic Concept-based Explanations, NeurIPS 2019, and of their code.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import slic

from models.preprocessing import resize_to_square

RESOLUTIONS = (15, 50, 80)
"""Approximate numbers of segments; an image is segmented once with each."""

GREY = 117
"""Grey level around the segment in a patch."""

_DUPLICATE_IOU = 0.5
"""Segments with a larger intersection over union (Jaccard index) are duplicates."""

_COMPACTNESS, _SIGMA = 20.0, 1.0
"""The weight of proximity against colour, and the standard deviation of the preceding blur, in
pixels."""


def segment(pixels: NDArray[np.uint8], count: int) -> NDArray[np.int32]:
    """Segment an image.

    Args:
        pixels: RGB, uint8 [H, W, 3].
        count: Approximate number of segments, at least 1. SLIC starts from a regular lattice, so
            there may be fewer or more.

    Returns:
        int32 [H, W]: the segment of each pixel, numbered from 0 without gaps.

    Raises:
        ValueError: If the image or the count is invalid.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ValueError(f"an image is uint8 [H, W, 3], not {pixels.dtype} {pixels.shape}")
    if count < 1:
        raise ValueError(f"the number of segments must be at least 1, not {count}")
    if min(pixels.shape[:2]) == 1:  # SLIC's lattice needs two dimensions.
        return np.zeros(pixels.shape[:2], np.int32)
    found = slic(pixels, count, compactness=_COMPACTNESS, sigma=_SIGMA, start_label=0)
    _, labels = np.unique(found, return_inverse=True)
    return np.asarray(labels, np.int32).reshape(pixels.shape[:2])


def distinct(segmentations: Sequence[NDArray[np.int32]]) -> NDArray[np.bool_]:
    """Collect the segments of an image at several resolutions, without duplicates.

    A segment is dropped if its intersection over union with one collected before is over 0.5.

    Args:
        segmentations: Results of `segment` at each resolution, [H, W] each, the coarsest first.

    Returns:
        bool [P, H, W]: a mask of each segment. The first segmentation is kept whole, so the masks
        cover the image.
    """
    kept: list[NDArray[np.intp]] = []
    for index, labels in enumerate(segmentations):
        new = np.ones(labels.max() + 1, bool)
        for before, numbers in zip(segmentations[:index], kept, strict=True):
            new &= (_iou(labels, before)[:, numbers] <= _DUPLICATE_IOU).all(axis=1)
        kept.append(np.flatnonzero(new))
    return np.concatenate(
        [
            labels == numbers[:, None, None]
            for labels, numbers in zip(segmentations, kept, strict=True)
        ]
    )


def patch(pixels: NDArray[np.uint8], mask: NDArray[np.bool_], side: int) -> NDArray[np.uint8]:
    """Cut a segment out on grey, and resize it to a square.

    It is cropped to its bounding box, including the last row and column. Its aspect ratio is not
    kept, as in the authors' code.

    Args:
        pixels: RGB, uint8 [H, W, 3].
        mask: The segment, bool [H, W].
        side: Of the patch, in pixels.

    Returns:
        uint8 [side, side, 3].

    Raises:
        ValueError: If the segment is empty.
    """
    if not mask.any():
        raise ValueError("the segment is empty")
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    cut = np.where(mask[box][..., None], pixels[box], np.uint8(GREY))
    return resize_to_square(np.asarray(cut, np.uint8), side)


def _iou(some: NDArray[np.int32], others: NDArray[np.int32]) -> NDArray[np.float64]:
    """Compute the intersection over union of each pair of segments, [S, O]."""
    shape = some.max() + 1, others.max() + 1
    pairs = np.bincount((some * shape[1] + others).ravel(), minlength=shape[0] * shape[1])
    intersection = pairs.reshape(shape)
    union = intersection.sum(axis=1)[:, None] + intersection.sum(axis=0) - intersection
    return np.asarray(intersection / union, np.float64)
