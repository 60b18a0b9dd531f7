"""Segments and activations that were computed before, in memory or in a folder."""

import zipfile
from abc import ABC, abstractmethod
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_MEMORY = 64 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class CachedPicture:
    """What is kept of one picture: neither the picture nor its name."""

    segmentations: tuple[NDArray[np.int32], ...]
    """At each resolution, [S, S]; see `inference.segments.segment`."""
    activations: NDArray[np.float32]
    """Of its distinct segments, [P, C]."""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.activations.nbytes + sum(each.nbytes for each in self.segmentations)


class PatchCache(ABC):
    """Pictures by keys that name both the picture and the encoder."""

    @abstractmethod
    def get(self, key: str) -> CachedPicture | None:
        """Find one; None if it is not there."""

    @abstractmethod
    def put(self, key: str, picture: CachedPicture) -> None:
        """Keep one.

        Raises:
            OSError: If the folder cannot be written to.
        """


class MemoryCache(PatchCache):
    """Keeps those that were last asked for, as many as fit."""

    def __init__(self, most: int = _MEMORY) -> None:
        """Start with none; `most` is in bytes."""
        self._most, self._size = most, 0
        self._pictures: OrderedDict[str, CachedPicture] = OrderedDict()

    def get(self, key: str) -> CachedPicture | None:  # noqa: D102
        if key in self._pictures:
            self._pictures.move_to_end(key)
        return self._pictures.get(key)

    def put(self, key: str, picture: CachedPicture) -> None:  # noqa: D102
        replaced = self._pictures.pop(key, None)
        self._size += picture.size - (replaced.size if replaced else 0)
        self._pictures[key] = picture
        while self._size > self._most:
            _, dropped = self._pictures.popitem(last=False)
            self._size -= dropped.size


class FolderCache(PatchCache):
    """Keeps all, a file each."""

    def __init__(self, folder: Path) -> None:
        """Make the folder if there is none.

        Raises:
            OSError: If it cannot be made.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def get(self, key: str) -> CachedPicture | None:
        """Find one; None also if its file is damaged."""
        try:
            with self._file(key).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return CachedPicture(
                    tuple(arrays["segmentations"].astype(np.int32)), arrays["activations"]
                )
        except (OSError, zipfile.BadZipFile, EOFError, KeyError, ValueError):
            return None

    def put(self, key: str, picture: CachedPicture) -> None:  # noqa: D102
        # Whole or not at all: another run may read it, or this one be stopped.
        partial = self._file(key).with_suffix(".partial")
        try:
            with partial.open("wb") as file:
                np.savez_compressed(
                    file,
                    segmentations=np.array(picture.segmentations, np.int16),
                    activations=picture.activations,
                )
            partial.replace(self._file(key))
        finally:
            partial.unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.npz"
