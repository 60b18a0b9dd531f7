"""Occlusion: the drop of the target's score z when a region is covered."""

from collections.abc import Iterator
from itertools import accumulate
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from inference.explanations import Map, RoughMap, TargetKind
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.masked_scores import Mask, masked_scores
from inference.explanations.masking import cells_to_pixels
from inference.explanations.method import Method, Work
from inference.explanations.score import Score

_SEED = 0


class Occlusion(Method):
    """z(x) - z(x with a window painted in the image's mean colour), for a sliding window.

    Each cell shows the mean of all windows that cover it, where it is positive: where covering
    makes the target less probable. The windows fall into tilings, each of which covers every cell
    once. They are computed tiling by tiling in a random order, the same each time, so that the mean
    over those done is an unbiased estimate of the mean over all.
    """

    name = "occlusion"
    title = "Occlusion"
    paper = "Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014"
    cost = "101 passes through the encoder and the decoder, once for all targets of a frame"
    unit = "logit"
    kinds: ClassVar[frozenset[TargetKind]] = frozenset({"word", "contrast", "caption", "tag"})

    def __init__(self, cells: int = 9, window: int = 2, seed: int = _SEED) -> None:
        """Set the cells on a side of the map and of the window, which moves by one cell."""
        self._cells, self._window, self._seed = cells, window, seed

    def _work(self, subject: CaptionedImage, score: Score) -> Work:
        tilings = self.tilings()
        windows = np.concatenate(tilings)

        def masks() -> Iterator[Mask]:
            side = len(subject.pixels)
            return (1 - cells_to_pixels(window, side) for window in windows)

        name = self.name, self._cells, self._window, self._seed
        scored = masked_scores(subject, score, name, masks, len(windows))
        yield scored.share
        whole = score.logits(subject.grid[None])
        for stop in accumulate(map(len, tilings)):
            computed = yield from scored.until(stop)
            drops = whole - score.logits_of(scored.copies(0, stop))
            found = Map(np.maximum(mean_drops(drops, windows[:stop]), 0))
            if computed and stop < len(windows):
                doing = f"Rough map from {stop} of {len(windows)} windows"
                yield RoughMap(scored.share, doing, found)
        return found

    def tilings(self) -> list[NDArray[np.float32]]:
        """Return all windows, 1 inside and 0 outside, by tiling: [windows, cells, cells] each."""
        starts = np.arange(1 - self._window, self._cells)
        places = np.arange(self._cells)
        lines = (places >= starts[:, None]) & (places < starts[:, None] + self._window)
        phases = np.arange(len(starts)) % self._window
        tilings = [
            (lines[phases == down][:, None, :, None] & lines[phases == right][None, :, None, :])
            .reshape(-1, self._cells, self._cells)
            .astype(np.float32)
            for down in range(self._window)
            for right in range(self._window)
        ]
        order = np.random.default_rng(self._seed).permutation(len(tilings))
        return [tilings[index] for index in order]


def mean_drops(drops: NDArray[np.float32], windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average the drops [N] of windows [N, cells, cells] over those that cover each cell."""
    total = np.tensordot(drops, windows, axes=1)
    return np.asarray(total / windows.sum(axis=0), np.float32)
