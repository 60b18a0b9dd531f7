"""SmoothGrad: saliency without what changes from one grey level to the next."""

from typing import ClassVar

import numpy as np

from inference.explanations.map import Map
from inference.explanations.method import Method, Work
from inference.explanations.score import Score
from inference.explanations.subject import Subject
from inference.explanations.target import Kind

_SEED = 0


class SmoothGrad(Method):
    """The maximum over the channels of |mean of dz/dx over noisy copies of the picture|: [S, S].

    The noise is the same each time: Gaussian, of a standard deviation that is a share of the range
    of the picture's values.
    """

    name = "smoothgrad"
    title = "SmoothGrad"
    paper = "Smilkov et al., SmoothGrad: removing noise by adding noise, 2017"
    unit = "logit per grey level"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"word", "contrast", "caption", "tag"})
    slow = True
    cost = "20 passes through the encoder and the decoder, and back"

    def __init__(self, copies: int = 20, noise: float = 0.15) -> None:
        """Choose the number of noisy copies, and the share of the range."""
        self._copies, self._noise = copies, noise

    def _work(self, subject: Subject, score: Score) -> Work:
        model, pixels = subject.model, subject.pixels.astype(np.float32)
        random = np.random.default_rng(_SEED)
        deviation = self._noise * float(np.ptp(pixels))
        total = np.zeros_like(pixels)
        for copy in range(self._copies):
            noise = random.standard_normal(pixels.shape, np.float32)
            noisy = pixels + np.float32(deviation) * noise
            at_grid = score.gradient(model.encode_pixels(noisy[None])[0])
            yield (copy + 0.2) / self._copies
            total += model.graphs.pixel_gradient(noisy, at_grid)
            yield (copy + 1) / self._copies
        return Map(np.abs(total / self._copies).max(axis=-1))
