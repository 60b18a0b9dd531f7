"""Saliency: the pixels that would change the answer most if they changed a little."""

from typing import ClassVar

import numpy as np

from inference.explanations.map import Map
from inference.explanations.method import Method, Work
from inference.explanations.score import Score
from inference.explanations.subject import Subject
from inference.explanations.target import Kind


class Saliency(Method):
    """The maximum over the channels of |dz/dx|, x the pixels: [S, S], S the encoder's own size.

    The gradient is total: it runs through all that was read before.
    """

    name = "saliency"
    title = "Saliency"
    paper = (
        "Simonyan et al., Deep Inside Convolutional Networks: Visualising Image Classification "
        "Models and Saliency Maps, ICLR workshop 2014"
    )
    cost = "one pass through the encoder and the decoder, and back"
    unit = "logit per grey level"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"word", "contrast", "caption", "tag"})

    def _work(self, subject: Subject, score: Score) -> Work:
        at_grid = score.gradient(subject.grid)
        yield 0.2
        pixels = subject.pixels.astype(np.float32)
        at_pixels = subject.model.graphs.pixel_gradient(pixels, at_grid)
        return Map(np.abs(at_pixels).max(axis=-1))
