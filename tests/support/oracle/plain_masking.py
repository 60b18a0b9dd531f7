"""Occlusion and RISE by their definitions: one masked copy after another, in plain NumPy.

A copy is scored through `score`, which encodes an image, float [S, S, 3], and returns a number.
Nothing is batched, kept or shared.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Score = Callable[[Array], float]


def plain_occlusion(pixels: NDArray[np.uint8], score: Score, cells: int, window: int) -> Array:
    """Return the signed mean drop of the score under the windows over each cell: [cells, cells].

    Args:
        pixels: The image [S, S, 3].
        score: Of a copy.
        cells: On a side of the map.
        window: Cells on a side of the window.
    """
    image, side = pixels.astype(np.float64), len(pixels)
    colour = image.reshape(-1, 3).mean(axis=0)
    whole = score(image)
    cell_of = np.array([pixel * cells // side for pixel in range(side)])
    drops: list[list[list[float]]] = [[[] for _ in range(cells)] for _ in range(cells)]
    for top in range(1 - window, cells):
        for left in range(1 - window, cells):
            covered = np.zeros((side, side), bool)
            for row in range(max(0, top), min(cells, top + window)):
                for column in range(max(0, left), min(cells, left + window)):
                    covered |= (cell_of == row)[:, None] & (cell_of == column)[None]
            drop = whole - score(np.where(covered[..., None], colour, image))
            for row in range(max(0, top), min(cells, top + window)):
                for column in range(max(0, left), min(cells, left + window)):
                    drops[row][column].append(drop)
    return np.array([[np.mean(each) for each in line] for line in drops])


def plain_rise(pixels: NDArray[np.uint8], score: Score, masks: int, cells: int) -> Array:
    """Return the mean score weighted by visibility, less its minimum: [S, S].

    Args:
        pixels: The image [S, S, 3].
        score: Of a copy.
        masks: Number of masks.
        cells: Random cells on a side of a mask.
    """
    image, side = pixels.astype(np.float64), len(pixels)
    colour = image.reshape(-1, 3).mean(axis=0)
    weighted, visible = np.zeros((2, side, side))
    for mask, _ in zip(plain_masks(side, cells), range(masks), strict=False):
        weighted += mask * score(colour + (image - colour) * mask[..., None])
        visible += mask
    mean = weighted / visible
    return np.asarray(mean - mean.min())


def plain_masks(side: int, cells: int) -> Iterator[Array]:
    """Yield RISE's masks: half of the cells visible, interpolated linearly, shifted at random."""
    random = np.random.default_rng(0)
    cell = -(-side // cells)
    count = cells + 1
    centres = (np.arange(count * cell) + 0.5) / cell - 0.5
    low = np.clip(np.floor(centres).astype(int), 0, count - 1)
    high = np.clip(low + 1, 0, count - 1)
    weight = np.clip(centres - low, 0, 1)
    while True:
        seen = (random.random((count, count)) < 0.5).astype(np.float64)
        down, right = random.integers(0, cell, 2)
        rows = seen[low] * (1 - weight)[:, None] + seen[high] * weight[:, None]
        mask = rows[:, low] * (1 - weight) + rows[:, high] * weight
        yield mask[down : down + side, right : right + side]
