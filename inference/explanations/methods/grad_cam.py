"""Grad-CAM and its variants: total Grad-CAM, HiResCAM and Read-CAM."""

from typing import ClassVar

import numpy as np

from inference.captioning.model import Ability, CaptionModel
from inference.explanations import Map, TargetKind
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.method import LiveMethod, Method, Work
from inference.explanations.score import Score, cams_from_gradient


class GradCam(Method):
    """ReLU of the sum over channels c of alpha_c A_c, alpha_c the mean over the cells of dz/dA_c.

    A is the grid that the decoder reads. Where the decoder is recurrent, the gradient is direct: it
    stops at what each step receives from the previous one (hidden state, cell and context; before
    the first word, the initial state). The map has the shape of the grid.
    """

    name = "gradcam"
    title = "Grad-CAM"
    paper = (
        "Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based "
        "Localization, ICCV 2017"
    )
    cost = "one decoder step and its gradient"
    unit = "logit"
    kinds: ClassVar[frozenset[TargetKind]] = frozenset({"word", "contrast", "caption", "tag"})

    def available(self, model: CaptionModel) -> bool:  # noqa: D102
        return self.name in model.live_methods or model.can(Ability.GRADIENTS)

    def _work(self, subject: CaptionedImage, score: Score) -> Work:
        yield 0.0
        signed = score.token_map(self.name)
        if signed is None:
            signed, _ = cams_from_gradient(score.cell_gradient(), subject.cells)
        return Map(np.maximum(signed, 0))


class GradCamTotal(Method):
    """Grad-CAM with the total gradient, which runs through all previous steps.

    For a tag it would equal Grad-CAM, as tags are not decoded step by step; so it would for a
    captioner whose Grad-CAM is not direct.
    """

    name = "gradcam-total"
    title = "Grad-CAM (total)"
    paper = (
        "Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based "
        "Localization, ICCV 2017"
    )
    cost = "one pass through the decoder and its gradient"
    unit = "logit"
    kinds: ClassVar[frozenset[TargetKind]] = frozenset({"word", "contrast", "caption"})

    def available(self, model: CaptionModel) -> bool:  # noqa: D102
        return GradCam.name in model.live_methods and model.can(Ability.GRADIENTS)

    def _work(self, subject: CaptionedImage, score: Score) -> Work:
        yield 0.0
        gradcam, _ = cams_from_gradient(score.cell_gradient(), subject.cells)
        return Map(np.maximum(gradcam, 0))


class HiResCam(Method):
    """ReLU of the sum over channels c of dz/dA_c A_c, cell by cell, with the direct gradient.

    For a tag it would equal Grad-CAM, as the classifier weights all cells alike.
    """

    name = "hirescam"
    title = "HiResCAM"
    paper = (
        "Draelos and Carin, Use HiResCAM instead of Grad-CAM for faithful explanations of "
        "convolutional neural networks, 2020"
    )
    cost = "one decoder step and its gradient"
    unit = "logit"
    kinds: ClassVar[frozenset[TargetKind]] = frozenset({"word", "contrast", "caption"})

    def available(self, model: CaptionModel) -> bool:  # noqa: D102
        return self.name in model.live_methods or model.can(Ability.GRADIENTS)

    def _work(self, subject: CaptionedImage, score: Score) -> Work:
        yield 0.0
        signed = score.token_map(self.name)
        if signed is None:
            _, signed = cams_from_gradient(score.cell_gradient(), subject.cells)
        return Map(np.maximum(signed, 0))


class ReadCam(LiveMethod):
    """A class activation map of the word (Zhou et al., CVPR 2016) at the cells attention reads.

    ReLU of the smoothed sum over k of beta_k (c_k - its mean), beta_k the mean of dz/dc_k.

    c are the grid's cells after the decoder's projection and layer normalisation, which attention
    reads. The encoder's activations are non-negative, with 0 for a channel that detected nothing; a
    normalised cell has no such zero, so the mean cell takes its place. The map is smoothed by a
    Gaussian of one cell, as the encoder's receptive field extends beyond a cell (Luo et al.,
    "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks", NeurIPS
    2016). Otherwise as `GradCam`.

    What attention reads is a weighted mean of these cells, so beta does not depend on where the
    step looked, as the weights of a classifier behind global average pooling do not: that makes it
    a class activation map. It shows where the image supports the word, whatever its place in the
    caption.
    """

    name = "readcam"
    title = "Word map (Read-CAM)"
    paper = (
        "A class activation map of the word: Zhou et al., Learning Deep Features for "
        "Discriminative Localization, CVPR 2016; weighted as in Selvaraju et al., Grad-CAM, ICCV "
        "2017, at the decoder's normalised cells"
    )
    cost = "one decoder step and its gradient"
    unit = "logit"
    kinds: ClassVar[frozenset[TargetKind]] = frozenset({"word", "contrast", "caption"})
