"""A cache of the encodings of the latest images."""

import hashlib
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

_CACHED_GRIDS = 8
"""Frames: the newest of as many streams."""


class GridCache:
    """The encodings of the latest images, so that explanations need not encode them again."""

    def __init__(self) -> None:
        self._encodings: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()

    def put(self, image: NDArray[np.uint8], encoding: NDArray[np.float32]) -> None:
        """Store the encoding of an image, in place of the oldest if the cache is full."""
        key = _digest(image)
        self._encodings[key] = encoding
        self._encodings.move_to_end(key)
        if len(self._encodings) > _CACHED_GRIDS:
            self._encodings.popitem(last=False)

    def get(self, image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Return the encoding of an image with exactly these pixels, or None."""
        return self._encodings.get(_digest(image))

    def values(self) -> list[NDArray[np.float32]]:
        """Return all encodings, the newest first."""
        return list(reversed(self._encodings.values()))


def _digest(image: NDArray[np.uint8]) -> bytes:
    return hashlib.sha1(f"{image.shape}".encode() + image.tobytes(), usedforsecurity=False).digest()
