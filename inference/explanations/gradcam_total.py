"""Grad-CAM, total: also what the captioner saw earlier and carried along."""

from typing import ClassVar

import numpy as np

from inference.explanations.map import Map
from inference.explanations.method import Method, Work
from inference.explanations.score import Score, cams
from inference.explanations.subject import Subject
from inference.explanations.target import Kind


class GradCamTotal(Method):
    """As `GradCam`, but the gradient runs on through the steps before, to the start state.

    Of a tag that would be the same, since it is not told step by step.
    """

    name = "gradcam-total"
    title = "Grad-CAM, total"
    paper = (
        "Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based "
        "Localization, ICCV 2017"
    )
    cost = "no pass through the encoder beyond the caption's own, one through the decoder and back"
    unit = "logit"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"word", "contrast", "caption"})

    def _work(self, subject: Subject, score: Score) -> Work:
        grid = subject.grid
        yield 0.0
        return Map(np.maximum(cams(score.gradient(grid), grid).gradcam, 0))
