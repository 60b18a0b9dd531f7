"""The grids of the last few pictures, so that what is asked of them next need not encode again."""

import hashlib
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

_MOST = 8
"""Pictures: of as many streams the newest."""


class RecentGrids:
    """Grids by picture, the newest only."""

    def __init__(self) -> None:
        self._grids: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()

    def keep(self, image: NDArray[np.uint8], grid: NDArray[np.float32]) -> None:
        """Keep the grid of a picture, in place of the oldest if there are too many."""
        key = _digest(image)
        self._grids[key] = grid
        self._grids.move_to_end(key)
        if len(self._grids) > _MOST:
            self._grids.popitem(last=False)

    def all(self) -> list[NDArray[np.float32]]:
        """Return the grids that are kept, the newest first."""
        return list(reversed(self._grids.values()))

    def find(self, image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Return the grid of a picture of exactly these pixels, if it is kept."""
        return self._grids.get(_digest(image))


def _digest(image: NDArray[np.uint8]) -> bytes:
    return hashlib.sha1(f"{image.shape}".encode() + image.tobytes(), usedforsecurity=False).digest()
