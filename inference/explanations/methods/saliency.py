"""Saliency, the gradient at the pixels, and SmoothGrad, its mean over noisy copies."""

from typing import ClassVar

import numpy as np

from inference.captioning.model import Ability
from inference.explanations import Map, TargetKind
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.method import Method, Work
from inference.explanations.score import Score

_SEED = 0


class Saliency(Method):
    """The maximum over the channels of |dz/dx|, x the pixels: [S, S], S the encoder's input size.

    The gradient is total: it runs through all previous steps.
    """

    name = "saliency"
    title = "Saliency"
    paper = (
        "Simonyan et al., Deep Inside Convolutional Networks: Visualising Image Classification "
        "Models and Saliency Maps, ICLR workshop 2014"
    )
    cost = "one pass through the encoder and the decoder, and its gradient"
    unit = "logit per grey level"
    kinds: ClassVar[frozenset[TargetKind]] = frozenset({"word", "contrast", "caption", "tag"})
    needs = frozenset({Ability.GRADIENTS, Ability.PIXEL_GRADIENTS})

    def _work(self, subject: CaptionedImage, score: Score) -> Work:
        at_grid = score.gradient(subject.grid)
        yield 0.2
        pixels = subject.pixels.astype(np.float32)
        at_pixels = subject.model.pixel_gradient(pixels, at_grid)
        return Map(np.abs(at_pixels).max(axis=-1))


class SmoothGrad(Method):
    """The maximum over the channels of |mean of dz/dx over noisy copies of the image|: [S, S].

    The noise is Gaussian and the same each time; its standard deviation is a share of the range of
    the image's values.
    """

    name = "smoothgrad"
    title = "SmoothGrad"
    paper = "Smilkov et al., SmoothGrad: removing noise by adding noise, 2017"
    cost = "20 passes through the encoder and the decoder, and their gradients"
    unit = "logit per grey level"
    kinds: ClassVar[frozenset[TargetKind]] = frozenset({"word", "contrast", "caption", "tag"})
    needs = frozenset({Ability.GRADIENTS, Ability.PIXEL_GRADIENTS})
    slow = True

    def __init__(self, copies: int = 20, noise: float = 0.15) -> None:
        """Set the number of noisy copies, and the share of the range."""
        self._copies, self._noise = copies, noise

    def _work(self, subject: CaptionedImage, score: Score) -> Work:
        model, pixels = subject.model, subject.pixels.astype(np.float32)
        random = np.random.default_rng(_SEED)
        deviation = self._noise * float(np.ptp(pixels))
        total = np.zeros_like(pixels)
        for copy in range(self._copies):
            noise = random.standard_normal(pixels.shape, np.float32)
            noisy = pixels + np.float32(deviation) * noise
            at_grid = score.gradient(model.encode_pixels(noisy[None])[0])
            yield (copy + 0.2) / self._copies
            total += model.pixel_gradient(noisy, at_grid)
            yield (copy + 1) / self._copies
        return Map(np.abs(total / self._copies).max(axis=-1))
