"""Attention weights: where the decoder looked, which is not why it chose a word."""

from typing import ClassVar

import numpy as np

from inference.explanations import Map, TargetKind
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.method import Method, Work
from inference.explanations.score import CaptionScore, Score
from models.language import PAD


class Attention(Method):
    """The attention weights of the cells, averaged over the heads; of a caption, over its words.

    They sum to 1. They are for comparison only: a word may hardly change when the decoder attends
    to other cells.
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

    def _work(self, subject: CaptionedImage, score: Score) -> Work:
        assert isinstance(score, CaptionScore)
        yield 0.0
        hidden = np.asarray(subject.rescored.hidden)
        weights = subject.model.graphs.attention_weights(subject.grid[None], hidden[None])[0]
        return Map(weights[np.flatnonzero(score.terms.plus != PAD)].mean(axis=0))
