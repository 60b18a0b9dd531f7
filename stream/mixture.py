"""Mixing colours into the samples of a plane, prepared once and then applied to each frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.yuv import Plane


@dataclass(frozen=True, slots=True)
class Mixture:
    """What becomes of the samples of some rows of a plane: (sample * keep + add) / 256.

    Attributes:
        keep: uint16 [rows, width], from 0 to 256.
        add: uint16 [rows, width], the drawn colour's part and one half for rounding.
        product: uint16 [rows, width], scratch space.
    """

    keep: NDArray[np.uint16]
    add: NDArray[np.uint16]
    product: NDArray[np.uint16]

    def apply(self, source: Plane, target: Plane) -> None:
        """Mix into the source's rows, writing to the target's."""
        np.multiply(source, self.keep, out=self.product)
        np.add(self.product, self.add, out=self.product)
        np.right_shift(self.product, 8, out=self.product)
        target[:] = self.product
