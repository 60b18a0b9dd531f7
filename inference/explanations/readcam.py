"""Grad-CAM of what is read: at the cells as attention reads them, not as the encoder made them."""

from typing import ClassVar

import numpy as np

from inference.explanations.map import Map
from inference.explanations.method import Method, Work
from inference.explanations.score import Score
from inference.explanations.subject import Subject
from inference.explanations.target import Kind


class ReadCam(Method):
    """ReLU of the smoothed sum over k of beta_k (c_k - its mean), beta_k the mean of dz/dc_k.

    c are the grid's cells after the decoder's own projection and layer normalisation. The encoder's
    activations cannot be negative, so that 0 says that a channel found nothing; a normalised cell
    has no such zero, and the mean cell takes its place. Each cell is smoothed by a Gaussian of one
    cell, as the encoder sees beyond a cell's edges (Luo et al., "Understanding the Effective
    Receptive Field in Deep Convolutional Neural Networks", NeurIPS 2016). Otherwise as `GradCam`.

    What attention reads is a mean of these cells, so that beta is the same whatever the step has
    attended to: the map is a class activation map of the word. It tells where the picture speaks
    for the word, be it in one place of the caption or another, and not where the step looked.
    """

    name = "readcam"
    title = "Grad-CAM of what is read"
    paper = (
        "Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based "
        "Localization, ICCV 2017, at the decoder's normalised cells; Zhou et al., Learning Deep "
        "Features for Discriminative Localization, CVPR 2016"
    )
    cost = "no pass through the encoder beyond the caption's own, one step of the decoder and back"
    unit = "logit"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"word", "contrast", "caption"})

    def _work(self, subject: Subject, score: Score) -> Work:
        yield 0.0
        return Map(np.maximum(score.direct().readcam, 0))
