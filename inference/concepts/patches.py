"""Image patches: the segments of images with their activations, and caches of them.

The segments are those of Ghorbani et al., Towards Automatic Concept-based Explanations (ACE),
NeurIPS 2019, at every resolution. The activation of a segment is the mean of the cells of the whole
image that it covers, as in Zhang et al., Invertible Concept-based Explanations for CNN Models with
Non-negative Concept Activation Vectors, AAAI 2021. ACE encodes each segment on its own, on grey:
directions between such images are hardly those between the cells of photographs, in which concepts
are found and which the decoder reads. Shapes: P segments, C channels of the cells, S the
captioner's image size.
"""

import hashlib
import zipfile
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.segmentation import RESOLUTIONS, distinct, patch, segment

_MEMORY_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class CachedImage:
    """Cached results for one image: neither the image nor its name is stored."""

    segmentations: tuple[NDArray[np.int32], ...]
    """At each resolution, [S, S]; see `inference.segmentation.segment`."""
    activations: NDArray[np.float32]
    """Of its distinct segments, [P, C]."""

    @property
    def size(self) -> int:
        """In bytes."""
        return self.activations.nbytes + sum(each.nbytes for each in self.segmentations)


class PatchCache(ABC):
    """Cache of segments and activations, with keys that identify the image and the encoder."""

    @abstractmethod
    def get(self, key: str) -> CachedImage | None:
        """Return an entry; None if there is none."""

    @abstractmethod
    def put(self, key: str, image: CachedImage) -> None:
        """Store an entry.

        Raises:
            OSError: If the folder cannot be written to.
        """


class MemoryCache(PatchCache):
    """Keeps the most recently used entries that fit into memory."""

    def __init__(self, limit: int = _MEMORY_BYTES) -> None:
        """Start empty; `limit` is in bytes."""
        self._limit, self._size = limit, 0
        self._images: OrderedDict[str, CachedImage] = OrderedDict()

    def get(self, key: str) -> CachedImage | None:  # noqa: D102
        if key in self._images:
            self._images.move_to_end(key)
        return self._images.get(key)

    def put(self, key: str, image: CachedImage) -> None:  # noqa: D102
        replaced = self._images.pop(key, None)
        self._size += image.size - (replaced.size if replaced else 0)
        self._images[key] = image
        while self._size > self._limit:
            _, dropped = self._images.popitem(last=False)
            self._size -= dropped.size


class FolderCache(PatchCache):
    """Keeps all entries, one file each."""

    def __init__(self, folder: Path) -> None:
        """Create the folder if it is missing.

        Raises:
            OSError: If it cannot be created.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def get(self, key: str) -> CachedImage | None:
        """Return an entry; None if there is none or its file is damaged."""
        try:
            with self._file(key).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return CachedImage(
                    tuple(arrays["segmentations"].astype(np.int32)), arrays["activations"]
                )
        except (OSError, zipfile.BadZipFile, EOFError, KeyError, ValueError):
            return None

    def put(self, key: str, image: CachedImage) -> None:  # noqa: D102
        # Written completely or not at all: another run may read it, or this run may be stopped.
        partial = self._file(key).with_suffix(".partial")
        try:
            with partial.open("wb") as file:
                np.savez_compressed(
                    file,
                    segmentations=np.array(image.segmentations, np.int16),
                    activations=image.activations,
                )
            partial.replace(self._file(key))
        finally:
            partial.unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One segment of one of several images."""

    image: int
    """Index of the image."""
    top: int
    left: int
    mask: NDArray[np.bool_]
    """Which pixels of its bounding box belong to it, [h, w]."""

    def crop(self, images: Sequence[NDArray[np.uint8]], side: int) -> NDArray[np.uint8]:
        """Crop it from its image, see `inference.segmentation.patch`: uint8 [side, side, 3]."""
        return patch(_box(images[self.image], self), self.mask, side)


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """Segments with their activations."""

    segments: tuple[Segment, ...]
    activations: NDArray[np.float32]
    """The mean over the cells that each covers, [P, C]."""

    @property
    def images(self) -> NDArray[np.intp]:
        """The image of each segment, [P]."""
        return np.array([each.image for each in self.segments], np.intp)


def concatenate(parts: Sequence[Patches]) -> Patches:
    """Concatenate patches of several images; at least one part."""
    return Patches(
        tuple(each for part in parts for each in part.segments),
        np.concatenate([part.activations for part in parts]),
    )


def extract_patches(
    model: CaptionModel,
    pixels: NDArray[np.uint8],
    image: int,
    cache: PatchCache,
    encoder: str,
) -> Generator[float, None, Patches]:
    """Segment and encode an image.

    Args:
        model: The captioner.
        pixels: RGB, uint8 [S, S, 3].
        image: Index to give to the segments.
        cache: Looked up first, and updated.
        encoder: The captioner's `encoder_fingerprint`.

    Yields:
        The share that is done, in 0..1, after every resolution.
    """
    key = f"{encoder}-cells-{hashlib.sha256(pixels.tobytes()).hexdigest()}"
    known = cache.get(key)
    if known:
        return Patches(_segments(distinct(known.segmentations), image), known.activations)
    segmentations = yield from _segment_all(pixels)
    masks = distinct(segmentations)
    activations = mean_cells(model.cells(model.encode_pixels(pixels[None]))[0], masks)
    cache.put(key, CachedImage(segmentations, activations))
    return Patches(_segments(masks, image), activations)


def mean_cells(cells: NDArray[np.float32], masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Average the cells of an image, [rows, columns, C], over segments [P, S, S]: [P, C].

    A cell counts by the share of its area that the segment covers.
    """
    rows, columns, channels = cells.shape
    shares = np.stack(
        [
            cv2.resize(mask.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
            for mask in masks
        ]
    ).reshape(len(masks), -1)
    weights = shares / shares.sum(axis=1, keepdims=True)
    return np.asarray(weights @ cells.reshape(-1, channels), np.float32)


def encoder_fingerprint(model: CaptionModel) -> str:
    """Return hexadecimal digits that identify the encoder and its precision.

    Computed from the encoder's output for one test image, which costs one pass.
    """
    ramp = np.linspace(0, 255, model.image_size, dtype=np.uint8)
    pixels = np.stack(np.broadcast_arrays(ramp, ramp[:, None], ramp[::-1]), axis=-1)
    return hashlib.sha256(model.encode_pixels(pixels[None]).tobytes()).hexdigest()[:32]


def _segment_all(
    pixels: NDArray[np.uint8],
) -> Generator[float, None, tuple[NDArray[np.int32], ...]]:
    segmentations = []
    for done, count in enumerate(RESOLUTIONS):
        yield done / len(RESOLUTIONS)
        segmentations.append(segment(pixels, count))
    return tuple(segmentations)


def _box(pixels: NDArray[np.uint8], segment: Segment) -> NDArray[np.uint8]:
    height, width = segment.mask.shape
    return pixels[segment.top : segment.top + height, segment.left : segment.left + width]


def _segments(masks: NDArray[np.bool_], image: int) -> tuple[Segment, ...]:
    return tuple(_segment(mask, image) for mask in masks)


def _segment(mask: NDArray[np.bool_], image: int) -> Segment:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    top, left = int(rows[0]), int(columns[0])
    return Segment(image, top, left, mask[top : rows[-1] + 1, left : columns[-1] + 1].copy())
