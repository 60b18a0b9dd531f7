"""RISE: the probability of the target when the image is seen through random masks."""

from collections.abc import Iterator
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.explanations import Map, TargetKind
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.masking import encode_masked
from inference.explanations.method import Method, Work
from inference.explanations.score import Score

_SEED = 0

_VISIBLE_SHARE = 0.5
"""Share of a mask's cells that are visible."""


class Rise(Method):
    """The mean of the probability over random masks, weighted by each pixel's visibility: [S, S].

    The map shows by how much the mean exceeds its minimum. It is normalised by each pixel's actual
    total visibility rather than by its expectation as in the paper: with few masks the difference
    would outweigh the map. The masks are the same each time; what they hide is painted in the
    image's mean colour.
    """

    name = "rise"
    title = "RISE"
    paper = (
        "Petsiuk et al., RISE: Randomized Input Sampling for Explanation of Black-box Models, "
        "BMVC 2018"
    )
    cost = "400 passes through the encoder and the decoder"
    unit = "probability"
    kinds: ClassVar[frozenset[TargetKind]] = frozenset({"word", "contrast", "caption", "tag"})
    slow = True

    def __init__(self, masks: int = 400, cells: int = 7) -> None:
        """Set the number of masks, and of the random cells on their sides."""
        self._masks, self._cells = masks, cells

    def _work(self, subject: CaptionedImage, score: Score) -> Work:
        side = len(subject.pixels)
        masks = self._random_masks(side)
        total, visible = np.zeros((2, side, side), np.float32)
        size = subject.model.max_batch
        for start in range(0, self._masks, size):
            batch = [next(masks) for _ in range(min(size, self._masks - start))]
            visible += np.sum(batch, axis=0)
            for grids in encode_masked(subject, batch):
                probabilities = score.probabilities(grids).astype(np.float32)
                total += np.tensordot(probabilities, np.stack(batch), axes=1)
            yield (start + len(batch)) / self._masks
        mean = total / np.maximum(visible, np.finfo(np.float32).tiny)
        return Map(mean - mean.min())

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
