"""How much of each concept a picture has, where, and what that adds to words.

A concept is a direction v in the space of the grid's channels (Kim et al., Interpretability Beyond
Feature Attribution: Quantitative Testing with Concept Activation Vectors, ICML 2018). Shapes
below: K concepts, C channels, W words.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_TINY = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Directions:
    """Concepts, and how much of each other pictures have."""

    vectors: Array
    """[K, C], of length 1 each."""
    means: Array
    """[K], of A . v over the cells of other pictures."""
    deviations: Array
    """[K], the standard deviation of that; above 0."""


class Scores(NamedTuple):
    """Of concepts in one picture."""

    cells: Array
    """[K, rows, columns]: how much of each there is, in standard deviations above the mean over
    other pictures' cells."""
    presence: Array
    """[K]: the most of any cell."""
    support: Array
    """[W, K]: what each adds to each word's logit, by the gradient: the sum over the cells of how
    much more of it there is than the mean, times the slope of the logit along it."""


def background(vectors: Array, grids: Array) -> Directions:
    """Measure how much of each concept pictures have that were not chosen for it.

    Args:
        vectors: [K, C], of any length but 0.
        grids: Of those pictures, [B, rows, columns, C].
    """
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = grids.reshape(-1, grids.shape[-1]) @ units.T
    return Directions(units, found.mean(axis=0), np.maximum(found.std(axis=0), _TINY))


def score(grid: Array, gradients: Array, directions: Directions) -> Scores:
    """Hold a picture against concepts: one matrix product for all of them.

    Args:
        grid: A, [rows, columns, C].
        gradients: Of each word's logit at the grid, dz/dA, [W, rows, columns, C].
        directions: The concepts.
    """
    along = np.concatenate([grid[None], gradients]) @ directions.vectors.T
    above, slopes = along[0] - directions.means, along[1:]
    cells = np.moveaxis(above / directions.deviations, -1, 0)
    support = np.einsum("rck,wrck->wk", above, slopes)
    return Scores(cells, cells.max(axis=(1, 2)), support)
