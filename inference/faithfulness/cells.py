"""The cells of a picture: the squares that the encoder's grid divides it into."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.explanations.hiding import cells_of_pixels
from inference.explanations.map import Map

_BLUR = 1 / 12
"""Standard deviation of the blur, as part of the picture's side: larger than a cell."""


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
