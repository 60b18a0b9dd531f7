"""RISE: the probability of the target when the image is seen through random masks."""

from collections.abc import Iterator
from itertools import islice, pairwise
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.explanations import Map, RoughMap, TargetKind
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.masked_scores import masked_scores
from inference.explanations.method import Method, Work
from inference.explanations.score import Score

_SEED = 0

_VISIBLE_SHARE = 0.5
"""Share of a mask's cells that are visible."""

_FIRST = 24
"""Masks after which there is a first rough map; then whenever their number has doubled, or after
`_MAX_STEP` more."""

_MAX_STEP = 96

_ADDED = 64
"""Masks that are added to the map between two yields."""


class Rise(Method):
    """The mean of the probability over random masks, weighted by each pixel's visibility: [S, S].

    The map shows by how much the mean exceeds its minimum. It is normalised by each pixel's actual
    total visibility rather than by its expectation as in the paper: with few masks the difference
    would outweigh the map. The masks are the same each time; what they hide is painted in the
    image's mean colour. They are independent, so the same mean over the first of them estimates the
    map: with n masks its standard error falls as 1/sqrt(n), and its bias, that of a ratio of two
    unbiased sums, as 1/n.
    """

    name = "rise"
    title = "RISE"
    paper = (
        "Petsiuk et al., RISE: Randomized Input Sampling for Explanation of Black-box Models, "
        "BMVC 2018"
    )
    cost = "400 passes through the encoder and the decoder, once for all targets of a frame"
    unit = "probability"
    kinds: ClassVar[frozenset[TargetKind]] = frozenset({"word", "contrast", "caption", "tag"})

    def __init__(self, masks: int = 400, cells: int = 7) -> None:
        """Set the number of masks, and of the random cells on their sides."""
        self._masks, self._cells = masks, cells

    def _work(self, subject: CaptionedImage, score: Score) -> Work:
        side = len(subject.pixels)
        name = self.name, self._masks, self._cells
        scored = masked_scores(subject, score, name, lambda: self._random_masks(side), self._masks)
        yield scored.share
        masks = self._random_masks(side)
        total, visible = np.zeros((2, side, side), np.float32)
        for start, stop in pairwise((0, *self._stops())):
            computed = yield from scored.until(stop)
            probabilities = score.probabilities_of(scored.copies(start, stop)).astype(np.float32)
            for first in range(0, stop - start, _ADDED):
                part = np.stack(list(islice(masks, min(_ADDED, stop - start - first))))
                visible += part.sum(axis=0)
                total += np.tensordot(probabilities[first : first + len(part)], part, axes=1)
                yield scored.share
            mean = total / np.maximum(visible, np.finfo(np.float32).tiny)
            found = Map(mean - mean.min())
            if computed and stop < self._masks:
                doing = f"Rough map from {stop} of {self._masks} masks"
                yield RoughMap(scored.share, doing, found)
        return found

    def _stops(self) -> Iterator[int]:
        """Yield the numbers of masks after which there is a map; the last is all."""
        stop, step = _FIRST, _FIRST
        # A rough map just before the end would not be worth it.
        while stop + step // 2 <= self._masks:
            yield stop
            step = min(stop, _MAX_STEP)
            stop += step
        yield self._masks

    def _random_masks(self, side: int) -> Iterator[NDArray[np.float32]]:
        """Yield masks with soft edges, in 0..1: [side, side] each."""
        random = np.random.default_rng(_SEED)
        cell = -(-side // self._cells)
        larger = (self._cells + 1) * cell
        while True:
            cells = (random.random((self._cells + 1, self._cells + 1)) < _VISIBLE_SHARE).astype(
                np.float32
            )
            mask = cv2.resize(cells, (larger, larger), interpolation=cv2.INTER_LINEAR)
            down, right = random.integers(0, cell, 2)
            yield np.asarray(mask[down : down + side, right : right + side], np.float32)
