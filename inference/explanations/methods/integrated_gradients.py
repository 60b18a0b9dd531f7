"""Integrated gradients: how z comes about as the picture emerges from its mean colour."""

from collections.abc import Generator
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from inference.explanations import Kind, Map, pooled
from inference.explanations.method import Method, Work
from inference.explanations.score import Score
from inference.explanations.subject import Subject


class IntegratedGradients(Method):
    """(x - x') times the mean of dz/dx on the way from x', the picture's mean colour, to x.

    Summed over all pixels and channels that is z(x) - z(x') ("completeness"). The map shows the
    positive part of the sums over blocks of pixels, no more than `MOST_CELLS` a side: what spoke
    for the word, and not what spoke against it. In single pixels the two alternate like noise.
    """

    name = "integrated-gradients"
    title = "Integrated gradients"
    paper = "Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017"
    cost = "32 passes through the encoder and the decoder, and back"
    unit = "logit"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"word", "contrast", "caption", "tag"})
    slow = True

    def __init__(self, steps: int = 32) -> None:
        """Choose the number of steps on the way, at whose middles the gradient is taken."""
        self._steps = steps

    def _work(self, subject: Subject, score: Score) -> Work:
        parts = (yield from self.attributions(subject, score)).sum(axis=-1)
        means = pooled(parts)
        return Map(np.maximum(means * (parts.size / means.size), 0))

    def attributions(
        self, subject: Subject, score: Score
    ) -> Generator[float, None, NDArray[np.float32]]:
        """Compute the part that each value of the picture has in z(x) - z(x'): [S, S, 3]."""
        model, pixels = subject.model, subject.pixels.astype(np.float32)
        way = pixels - subject.mean_colour
        total = np.zeros_like(pixels)
        for step in range(self._steps):
            there = subject.mean_colour + way * np.float32((step + 0.5) / self._steps)
            at_grid = score.gradient(model.encode_pixels(there[None])[0])
            yield (step + 0.2) / self._steps
            total += model.graphs.pixel_gradient(there, at_grid)
            yield (step + 1) / self._steps
        return way * total / np.float32(self._steps)
