"""In which order the cells of a picture are blanked: by a map, at random, from the centre."""

import numpy as np
from numpy.typing import NDArray

from inference.faithfulness.cells import Cells

Order = NDArray[np.intp]
"""Every cell once, the first to be blanked first."""


def by_importance(values: NDArray[np.floating], random: np.random.Generator) -> Order:
    """The most important cells first; equal ones, as the zeros of Grad-CAM are, in random order.

    Args:
        values: [cells].
        random: Breaks the ties.
    """
    return np.lexsort((random.permutation(len(values)), -values))


def at_random(cells: Cells, random: np.random.Generator) -> Order:
    """Any order."""
    return random.permutation(len(cells))


def from_centre(cells: Cells, random: np.random.Generator) -> Order:
    """By a Gaussian around the picture's centre, where photographers put what they mean."""
    rows, columns = (
        (np.arange(count) + 0.5) / count - 0.5 for count in (cells.rows, cells.columns)
    )
    distances = np.round(rows[:, None] ** 2 + columns[None, :] ** 2, 12)
    return by_importance(np.exp(-distances.reshape(-1) / 2), random)
