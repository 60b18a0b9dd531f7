"""Grad-CAM, direct: of what the captioner saw when it said the word, what spoke for it.

Grad-CAM, total: also what the captioner saw earlier and carried along.

HiResCAM, direct: as Grad-CAM, but each cell goes by its own gradient.

Grad-CAM of what is read: at the cells as attention reads them, not as the encoder made them.
"""

from typing import ClassVar

import numpy as np

from inference.explanations import Kind, Map
from inference.explanations.method import Method, Work
from inference.explanations.score import Score, cams
from inference.explanations.subject import Subject


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


class HiResCam(Method):
    """ReLU of the sum over channels c of dz/dA_c A_c, cell by cell: see `GradCam`.

    Of a tag it would be Grad-CAM again, since the classifier weighs all cells alike.
    """

    name = "hirescam"
    title = "HiResCAM"
    paper = (
        "Draelos and Carin, Use HiResCAM instead of Grad-CAM for faithful explanations of "
        "convolutional neural networks, 2020"
    )
    cost = "no pass through the encoder beyond the caption's own, one step of the decoder and back"
    unit = "logit"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"word", "contrast", "caption"})

    def _work(self, subject: Subject, score: Score) -> Work:
        yield 0.0
        return Map(np.maximum(score.direct().hirescam, 0))


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
