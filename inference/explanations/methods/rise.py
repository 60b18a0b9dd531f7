"""RISE: how likely the word is where the picture is seen through random holes."""

from collections.abc import Iterator
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.explanations import Kind, Map
from inference.explanations.masking import PICTURES_AT_ONCE, grids_with_hidden
from inference.explanations.method import Method, Work
from inference.explanations.score import Score
from inference.explanations.subject import Subject

_SEED = 0


_SEEN = 0.5
"""The share of a mask's cells that is seen."""


class Rise(Method):
    """The probability's mean over random masks, each weighed by how far a place is seen: [S, S].

    As this is nowhere near 0, the map shows by how much it is above its smallest value. Divided by
    how far a place was seen in all, and not by what is to be expected of that as in the paper: of
    few masks the difference would outweigh the map. The masks are the same each time; what they
    hide is painted in the picture's mean colour.
    """

    name = "rise"
    title = "RISE"
    paper = (
        "Petsiuk et al., RISE: Randomized Input Sampling for Explanation of Black-box Models, "
        "BMVC 2018"
    )
    cost = "400 passes through the encoder and the decoder"
    unit = "probability"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"word", "contrast", "caption", "tag"})
    slow = True

    def __init__(self, masks: int = 400, cells: int = 7) -> None:
        """Choose the number of masks, and of the random cells of their sides."""
        self._masks, self._cells = masks, cells

    def _work(self, subject: Subject, score: Score) -> Work:
        side = len(subject.pixels)
        masks = self._drawn(side)
        total, seen = np.zeros((2, side, side), np.float32)
        for start in range(0, self._masks, PICTURES_AT_ONCE):
            few = [next(masks) for _ in range(min(PICTURES_AT_ONCE, self._masks - start))]
            seen += np.sum(few, axis=0)
            for grids in grids_with_hidden(subject, few):
                probabilities = score.probabilities(grids).astype(np.float32)
                total += np.tensordot(probabilities, np.stack(few), axes=1)
            yield (start + len(few)) / self._masks
        mean = total / np.maximum(seen, np.finfo(np.float32).tiny)
        return Map(mean - mean.min())

    def _drawn(self, side: int) -> Iterator[NDArray[np.float32]]:
        """Masks of soft holes, in 0..1: [side, side] each."""
        random = np.random.default_rng(_SEED)
        cell = -(-side // self._cells)
        larger = (self._cells + 1) * cell
        while True:
            cells = (random.random((self._cells + 1, self._cells + 1)) < _SEEN).astype(np.float32)
            mask = cv2.resize(cells, (larger, larger), interpolation=cv2.INTER_LINEAR)
            down, right = random.integers(0, cell, 2)
            yield np.asarray(mask[down : down + side, right : right + side], np.float32)
