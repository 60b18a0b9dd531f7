"""HiResCAM, direct: as Grad-CAM, but each cell goes by its own gradient."""

from typing import ClassVar

import numpy as np

from inference.explanations.map import Map
from inference.explanations.method import Method, Work
from inference.explanations.score import Score
from inference.explanations.subject import Subject
from inference.explanations.target import Kind


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
