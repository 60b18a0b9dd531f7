"""Occlusion: the drop of the target's score z when a region is covered."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from inference.explanations import Map, TargetKind
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.masking import cells_to_pixels, encode_masked
from inference.explanations.method import Method, Work
from inference.explanations.score import Score


class Occlusion(Method):
    """z(x) - z(x with a window painted in the image's mean colour), for a sliding window.

    Each cell shows the mean of all windows that cover it, where it is positive: where covering
    makes the target less probable.
    """

    name = "occlusion"
    title = "Occlusion"
    paper = "Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014"
    cost = "101 passes through the encoder and the decoder"
    unit = "logit"
    kinds: ClassVar[frozenset[TargetKind]] = frozenset({"word", "contrast", "caption", "tag"})
    slow = True

    def __init__(self, cells: int = 9, window: int = 2) -> None:
        """Set the cells on a side of the map and of the window, which moves by one cell."""
        self._cells, self._window = cells, window

    def _work(self, subject: CaptionedImage, score: Score) -> Work:
        windows = self._windows()
        visible = [1 - cells_to_pixels(window, len(subject.pixels)) for window in windows]
        whole = score.logits(subject.grid[None])
        drops: list[float] = []
        for grids in encode_masked(subject, visible):
            drops += (whole - score.logits(grids)).tolist()
            yield len(drops) / len(windows)
        total = np.tensordot(np.array(drops, np.float32), windows, axes=1)
        return Map(np.maximum(total / windows.sum(axis=0), 0))

    def _windows(self) -> NDArray[np.float32]:
        """Return every place of the window, 1 inside and 0 outside: [windows, cells, cells]."""
        starts = range(1 - self._window, self._cells)
        places = np.arange(self._cells)
        lines = np.array([(places >= at) & (places < at + self._window) for at in starts])
        windows: NDArray[np.bool_] = lines[:, None, :, None] & lines[None, :, None, :]
        return windows.reshape(-1, self._cells, self._cells).astype(np.float32)
