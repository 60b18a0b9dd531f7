"""Attention weights: where the decoder looked, which is not why it chose a word."""

from typing import ClassVar

import numpy as np

from inference.captioning.model import Ability
from inference.explanations import Map, TargetKind
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.method import Method, Work
from inference.explanations.score import CaptionScore, Score
from models.language import PAD


class Attention(Method):
    """The attention weights of the cells, averaged over the heads and the target's tokens.

    They sum to 1, or to the share of the attention that the cells have. They are for comparison
    only: a word may hardly change when the decoder attends to other cells.
    """

    name = "attention"
    title = "Attention (not an explanation)"
    paper = (
        "Xu et al., Show, Attend and Tell, ICML 2015; Jain and Wallace, Attention is not "
        "Explanation, NAACL 2019"
    )
    cost = "one pass through the decoder"
    unit = "share of the attention"
    kinds: ClassVar[frozenset[TargetKind]] = frozenset({"word", "caption"})
    needs = frozenset({Ability.ATTENTION})

    def _work(self, subject: CaptionedImage, score: Score) -> Work:
        assert isinstance(score, CaptionScore)
        yield 0.0
        weights = subject.model.attention(subject.grid[None], [subject.rescored])[0]
        return Map(weights[np.flatnonzero(score.terms.plus != PAD)].mean(axis=0))
