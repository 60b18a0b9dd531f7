"""Image patches: segments, each encoded on its own, and caches of their activations.

As in Ghorbani et al., Towards Automatic Concept-based Explanations (ACE), NeurIPS 2019: every
segment of every resolution is placed on grey, resized to a full image and encoded, and its cells
are averaged. Shapes: P segments, C channels of the cells, S the captioner's image size.
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
from inference.progress import scale_progress
from inference.segmentation import RESOLUTIONS, distinct, patch, segment

_MEMORY_BYTES = 64 * 2**20

_RANDOM_IMAGES = 50
"""Maximum number of images that random patches come from."""


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
    """The mean over the grid's cells of each, [P, C]."""

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
    """Segment an image, and encode each segment.

    Args:
        model: The captioner.
        pixels: RGB, uint8 [S, S, 3].
        image: Index to give to the segments.
        cache: Looked up first, and updated.
        encoder: The captioner's `encoder_fingerprint`.

    Yields:
        The share that is done, in 0..1, after every few patches.
    """
    key = f"{encoder}-{hashlib.sha256(pixels.tobytes()).hexdigest()}"
    known = cache.get(key)
    if known:
        return Patches(_segments(distinct(known.segmentations), image), known.activations)
    segmentations = yield from _segment_all(pixels)
    segments = _segments(distinct(segmentations), image)
    activations = yield from encode_segments(model, pixels, segments)
    cache.put(key, CachedImage(segmentations, activations))
    return Patches(segments, activations)


def random_patches(
    model: CaptionModel,
    images: Sequence[NDArray[np.uint8]],
    count: int,
    rng: np.random.Generator,
) -> Generator[float, None, NDArray[np.float32]]:
    """Encode random patches, the same number from each image.

    Args:
        model: The captioner.
        images: RGB, uint8 [S, S, 3] each, at least one.
        count: Maximum number of patches.
        rng: Draws images and segments.

    Yields:
        The share that is done, in 0..1.

    Returns:
        Their activations, [up to count, C], in random order.
    """
    drawn = rng.permutation(len(images))[:_RANDOM_IMAGES]
    per_image = -(-count // len(drawn))
    activations = []
    for number, index in enumerate(drawn):
        begun, share = number / len(drawn), 1 / len(drawn)
        cutting = segment_image(images[index], int(index))
        segments = yield from scale_progress(begun, 0.2 * share, cutting)
        few = [segments[each] for each in rng.permutation(len(segments))[:per_image]]
        encoding = encode_segments(model, images[index], few)
        activations.append((yield from scale_progress(begun + 0.2 * share, 0.8 * share, encoding)))
    return np.asarray(rng.permutation(np.concatenate(activations))[:count], np.float32)


def segment_image(
    pixels: NDArray[np.uint8], image: int
) -> Generator[float, None, tuple[Segment, ...]]:
    """Cut an image [S, S, 3] into its distinct segments, which get the index `image`."""
    return _segments(distinct((yield from _segment_all(pixels))), image)


def encode_segments(
    model: CaptionModel, pixels: NDArray[np.uint8], segments: Sequence[Segment]
) -> Generator[float, None, NDArray[np.float32]]:
    """Encode segments of one image [S, S, 3], averaged over the cells: [P, C]; yields progress."""
    pooled = []
    for start in range(0, len(segments), model.max_batch):
        yield start / len(segments)
        few = [
            patch(_box(pixels, each), each.mask, model.image_size)
            for each in segments[start : start + model.max_batch]
        ]
        pooled.append(model.cells(model.encode_pixels(np.stack(few))).mean(axis=(1, 2)))
    return np.concatenate(pooled)


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
    for count in RESOLUTIONS:
        yield 0.0
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
