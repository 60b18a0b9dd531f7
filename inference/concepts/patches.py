"""Segments and activations that were computed before, in memory or in a folder.

Segments of pictures as the captioner sees each by itself: the material that concepts are of.

As Ghorbani et al., Towards Automatic Concept-based Explanations (ACE), NeurIPS 2019: every segment
of every resolution on grey, as large as a picture, through the encoder; what it makes of it, pooled
over the cells. Shapes below: P segments, C channels of the grid.

Patches drawn at random: what concepts are told from.
"""

import hashlib
import zipfile
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.progress import within
from inference.segmentation import RESOLUTIONS, distinct, patch, segment

_MEMORY = 64 * 2**20
AT_ONCE = 4
"""Patches that go through the encoder in a slice."""

_PICTURES = 50
"""Of which they are taken at most."""


@dataclass(frozen=True, slots=True, eq=False)
class CachedPicture:
    """What is kept of one picture: neither the picture nor its name."""

    segmentations: tuple[NDArray[np.int32], ...]
    """At each resolution, [S, S]; see `inference.segmentation.segment`."""
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


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One segment of one of several pictures."""

    picture: int
    """Which."""
    top: int
    left: int
    mask: NDArray[np.bool_]
    """Which pixels of its box are its own, [h, w]."""

    def cut(self, pictures: Sequence[NDArray[np.uint8]], side: int) -> NDArray[np.uint8]:
        """Cut it out of its picture; see `inference.segmentation.patch`: uint8 [side, side, 3]."""
        height, width = self.mask.shape
        box = slice(self.top, self.top + height), slice(self.left, self.left + width)
        return patch(pictures[self.picture][box], self.mask, side)


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """Segments with what the encoder makes of them."""

    segments: tuple[Segment, ...]
    activations: NDArray[np.float32]
    """The mean over the cells of the grid of each, [P, C]."""

    @property
    def pictures(self) -> NDArray[np.intp]:
        """Of which picture each is, [P]."""
        return np.array([each.picture for each in self.segments], np.intp)


def gathered(parts: Sequence[Patches]) -> Patches:
    """Put patches of several pictures together; one part at least."""
    return Patches(
        tuple(each for part in parts for each in part.segments),
        np.concatenate([part.activations for part in parts]),
    )


def patches_of(
    model: CaptionModel,
    pixels: NDArray[np.uint8],
    picture: int,
    cache: PatchCache,
    encoder: str,
) -> Generator[float, None, Patches]:
    """Cut a picture into patches and encode each.

    Args:
        model: The captioner.
        pixels: RGB, uint8 [S, S, 3], of the captioner's own size.
        picture: The number that the segments bear.
        cache: Where they may be, and are put.
        encoder: What `fingerprint` tells of the captioner.

    Yields:
        How much is done, in 0..1, after every few patches.
    """
    key = f"{encoder}-{hashlib.sha256(pixels.tobytes()).hexdigest()}"
    known = cache.get(key)
    if known:
        return Patches(_segments(distinct(known.segmentations), picture), known.activations)
    segmentations = yield from _cut(pixels)
    segments = _segments(distinct(segmentations), picture)
    activations = yield from activations_of(model, pixels, segments)
    cache.put(key, CachedPicture(segmentations, activations))
    return Patches(segments, activations)


def segments_of(
    pixels: NDArray[np.uint8], picture: int
) -> Generator[float, None, tuple[Segment, ...]]:
    """Cut a picture [S, S, 3] into its distinct segments, which bear its number."""
    return _segments(distinct((yield from _cut(pixels))), picture)


def activations_of(
    model: CaptionModel, pixels: NDArray[np.uint8], segments: Sequence[Segment]
) -> Generator[float, None, NDArray[np.float32]]:
    """Encode segments of one picture [S, S, 3], and pool: [P, C]; yields what part is done."""
    pooled = []
    for start in range(0, len(segments), AT_ONCE):
        yield start / len(segments)
        few = [
            patch(_box(pixels, each), each.mask, model.image_size)
            for each in segments[start : start + AT_ONCE]
        ]
        pooled.append(model.encode_pixels(np.stack(few)).mean(axis=(1, 2)))
    return np.concatenate(pooled)


def fingerprint(model: CaptionModel) -> str:
    """Tell encoders apart, and the precisions in which they compute: hexadecimal digits.

    By what they make of one picture, which costs one pass.
    """
    ramp = np.linspace(0, 255, model.image_size, dtype=np.uint8)
    pixels = np.stack(np.broadcast_arrays(ramp, ramp[:, None], ramp[::-1]), axis=-1)
    return hashlib.sha256(model.encode_pixels(pixels[None]).tobytes()).hexdigest()[:32]


def _cut(pixels: NDArray[np.uint8]) -> Generator[float, None, tuple[NDArray[np.int32], ...]]:
    segmentations = []
    for count in RESOLUTIONS:
        yield 0.0
        segmentations.append(segment(pixels, count))
    return tuple(segmentations)


def _box(pixels: NDArray[np.uint8], segment: Segment) -> NDArray[np.uint8]:
    height, width = segment.mask.shape
    return pixels[segment.top : segment.top + height, segment.left : segment.left + width]


def _segments(masks: NDArray[np.bool_], picture: int) -> tuple[Segment, ...]:
    return tuple(_segment(mask, picture) for mask in masks)


def _segment(mask: NDArray[np.bool_], picture: int) -> Segment:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    top, left = int(rows[0]), int(columns[0])
    return Segment(picture, top, left, mask[top : rows[-1] + 1, left : columns[-1] + 1].copy())


def random_patches(
    model: CaptionModel,
    pictures: Sequence[NDArray[np.uint8]],
    count: int,
    rng: np.random.Generator,
) -> Generator[float, None, NDArray[np.float32]]:
    """Encode patches of pictures, as many of each.

    Args:
        model: The captioner.
        pictures: RGB, uint8 [S, S, 3] each, of the captioner's own size; one at least.
        count: As many, or all that there are.
        rng: Draws pictures and segments.

    Yields:
        How much is done, in 0..1.

    Returns:
        Their activations, [up to count, C], in random order.
    """
    drawn = rng.permutation(len(pictures))[:_PICTURES]
    of_each = -(-count // len(drawn))
    activations = []
    for index, place in enumerate(drawn):
        begun, share = index / len(drawn), 1 / len(drawn)
        segments = yield from within(begun, 0.2 * share, segments_of(pictures[place], int(place)))
        few = [segments[each] for each in rng.permutation(len(segments))[:of_each]]
        encoding = activations_of(model, pictures[place], few)
        activations.append((yield from within(begun + 0.2 * share, 0.8 * share, encoding)))
    found = np.concatenate(activations)
    return np.asarray(rng.permutation(found)[:count], np.float32)
