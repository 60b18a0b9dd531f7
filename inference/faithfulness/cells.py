"""The cells of a picture: the squares that the encoder's grid divides it into.

In which order the cells of a picture are blanked: by a map, at random, from the centre.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.explanations import Map
from inference.explanations.masking import cells_of_pixels

_BLUR = 1 / 12
"""Standard deviation of the blur, as part of the picture's side: larger than a cell."""

Order = NDArray[np.intp]
"""Every cell once, the first to be blanked first."""


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of square pictures."""

    rows: int
    columns: int
    side: int
    """Of the picture, in pixels."""

    def __len__(self) -> int:
        return self.rows * self.columns

    def pixels(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Spread a choice of cells [rows * columns] over the pixels [side, side, 1]."""
        spread = cells_of_pixels(chosen.reshape(self.rows, self.columns), self.side)
        return np.asarray(spread[..., None], bool)

    def read(self, explanation: Map) -> NDArray[np.float64]:
        """Read a map of any shape cell by cell, as means over each, [rows * columns]."""
        values = explanation.values.astype(np.float64)
        coarser = values.shape[0] < self.rows or values.shape[1] < self.columns
        method = cv2.INTER_NEAREST if coarser else cv2.INTER_AREA
        fitted = cv2.resize(values, (self.columns, self.rows), interpolation=method)
        return np.asarray(fitted, np.float64).reshape(-1)


def blank(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Of the picture's mean colour, in its shape [side, side, 3]."""
    mean = np.rint(picture.mean(axis=(0, 1))).astype(np.uint8)
    return np.broadcast_to(mean, picture.shape)


def blurred(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blur a picture [side, side, 3] until only its colours are left."""
    sigma = picture.shape[0] * _BLUR
    return np.asarray(
        cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.uint8
    )


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
