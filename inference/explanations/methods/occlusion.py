"""Occlusion: what z loses when a place is hidden."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from inference.explanations import Kind, Map
from inference.explanations.masking import cells_of_pixels, grids_with_hidden
from inference.explanations.method import Method, Work
from inference.explanations.score import Score
from inference.explanations.subject import Subject


class Occlusion(Method):
    """z(x) - z(x with a window painted in the picture's mean colour), as the window slides by.

    Each cell shows the mean of all windows over it, where that is positive: where hiding makes the
    word less likely, and not where it makes it more likely.
    """

    name = "occlusion"
    title = "Occlusion"
    paper = "Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014"
    cost = "101 passes through the encoder and the decoder"
    unit = "logit"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"word", "contrast", "caption", "tag"})
    slow = True

    def __init__(self, cells: int = 9, window: int = 2) -> None:
        """Choose the cells of the map's side, and of the window's, which moves by one at a time."""
        self._cells, self._window = cells, window

    def _work(self, subject: Subject, score: Score) -> Work:
        windows = self._windows()
        visible = [1 - cells_of_pixels(window, len(subject.pixels)) for window in windows]
        whole = score.logits(subject.grid[None])
        losses: list[float] = []
        for grids in grids_with_hidden(subject, visible):
            losses += (whole - score.logits(grids)).tolist()
            yield len(losses) / len(windows)
        total = np.tensordot(np.array(losses, np.float32), windows, axes=1)
        return Map(np.maximum(total / windows.sum(axis=0), 0))

    def _windows(self) -> NDArray[np.float32]:
        """Every place of the window, 1 in it and 0 elsewhere: [windows, cells, cells]."""
        starts = range(1 - self._window, self._cells)
        places = np.arange(self._cells)
        lines = np.array([(places >= at) & (places < at + self._window) for at in starts])
        windows: NDArray[np.bool_] = lines[:, None, :, None] & lines[None, :, None, :]
        return windows.reshape(-1, self._cells, self._cells).astype(np.float32)
