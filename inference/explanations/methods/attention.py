"""Attention weights: where the decoder read, which does not tell what it made of it."""

from typing import ClassVar

import numpy as np

from inference.explanations import Kind, Map
from inference.explanations.method import Method, Work
from inference.explanations.score import CaptionScore, Score
from inference.explanations.subject import Subject
from models.language import PAD


class Attention(Method):
    """The weights of the cells, the mean over the heads; of a caption, over its words too.

    They sum to 1. Shown for comparison: words may hardly change when other cells are attended to.
    """

    name = "attention"
    title = "Attention (not an explanation)"
    paper = (
        "Xu et al., Show, Attend and Tell, ICML 2015; Jain and Wallace, Attention is not "
        "Explanation, NAACL 2019"
    )
    cost = "no pass through the encoder beyond the caption's own, one through the decoder"
    unit = "share of the attention"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"word", "caption"})

    def _work(self, subject: Subject, score: Score) -> Work:
        assert isinstance(score, CaptionScore)
        yield 0.0
        hidden = np.asarray(subject.told.hidden)
        weights = subject.model.graphs.attention(subject.grid[None], hidden[None])[0]
        return Map(weights[np.flatnonzero(score.terms.plus != PAD)].mean(axis=0))
