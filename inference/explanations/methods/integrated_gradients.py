"""Integrated gradients: how z grows as the image emerges from its mean colour."""

from collections.abc import Generator
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import Ability
from inference.explanations import Map, TargetKind
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.map import downsample
from inference.explanations.method import Method, Work
from inference.explanations.score import Score


class IntegratedGradients(Method):
    """(x - x') times the mean of dz/dx on the path from x', the image's mean colour, to x.

    The sum over all pixels and channels is z(x) - z(x') ("completeness"). The map shows the
    positive part of the sums over blocks of pixels, at most `MAX_CELLS` a side: support for the
    target, not evidence against it. In single pixels the two alternate like noise.
    """

    name = "integrated-gradients"
    title = "Integrated gradients"
    paper = "Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017"
    cost = "32 passes through the encoder and the decoder, and their gradients"
    unit = "logit"
    kinds: ClassVar[frozenset[TargetKind]] = frozenset({"word", "contrast", "caption", "tag"})
    needs = frozenset({Ability.GRADIENTS, Ability.PIXEL_GRADIENTS})
    slow = True

    def __init__(self, steps: int = 32) -> None:
        """Set the number of steps on the path; the gradient is taken at their midpoints."""
        self._steps = steps

    def _work(self, subject: CaptionedImage, score: Score) -> Work:
        parts = (yield from self.attributions(subject, score)).sum(axis=-1)
        means = downsample(parts)
        return Map(np.maximum(means * (parts.size / means.size), 0))

    def attributions(
        self, subject: CaptionedImage, score: Score
    ) -> Generator[float, None, NDArray[np.float32]]:
        """Attribute z(x) - z(x') to each value of the image: [S, S, 3]."""
        model, pixels = subject.model, subject.pixels.astype(np.float32)
        difference = pixels - subject.mean_colour
        total = np.zeros_like(pixels)
        for step in range(self._steps):
            point = subject.mean_colour + difference * np.float32((step + 0.5) / self._steps)
            at_grid = score.gradient(model.encode_pixels(point[None])[0])
            yield (step + 0.2) / self._steps
            total += model.pixel_gradient(point, at_grid)
            yield (step + 1) / self._steps
        return difference * total / np.float32(self._steps)
