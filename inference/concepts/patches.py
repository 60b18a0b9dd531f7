"""Segments of pictures as the captioner sees each by itself: the material that concepts are of.

As Ghorbani et al., Towards Automatic Concept-based Explanations (ACE), NeurIPS 2019: every segment
of every resolution on grey, as large as a picture, through the encoder; what it makes of it, pooled
over the cells. Shapes below: P segments, C channels of the grid.
"""

import hashlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.captioning import CaptionModel
from inference.concepts.patch_cache import CachedPicture, PatchCache
from inference.segments import RESOLUTIONS, distinct, patch, segment

AT_ONCE = 4
"""Patches that go through the encoder in a slice."""


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
        """Cut it out of its picture; see `inference.segments.patch`: uint8 [side, side, 3]."""
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
