"""Grad-CAM, direct: of what the captioner saw when it said the word, what spoke for it."""

from typing import ClassVar

import numpy as np

from inference.explanations.map import Map
from inference.explanations.method import Method, Work
from inference.explanations.score import Score
from inference.explanations.subject import Subject
from inference.explanations.target import Kind


class GradCam(Method):
    """ReLU of the sum over channels c of alpha_c A_c, alpha_c the mean over the cells of dz/dA_c.

    A is the grid that the decoder reads. The gradient stops at what each step was handed by the
    one before: hidden state, cell and context; before the first word, the start state. The map is
    of the grid's shape.
    """

    name = "gradcam"
    title = "Grad-CAM"
    paper = (
        "Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based "
        "Localization, ICCV 2017"
    )
    cost = "no pass through the encoder beyond the caption's own, one step of the decoder and back"
    unit = "logit"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"word", "contrast", "caption", "tag"})

    def _work(self, subject: Subject, score: Score) -> Work:
        yield 0.0
        return Map(np.maximum(score.direct().gradcam, 0))
