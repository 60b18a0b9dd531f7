"""A learned network's prediction of what masking would show."""

from typing import ClassVar

from inference.explanations import TargetKind
from inference.explanations.method import LiveMethod
from inference.explanations.token_maps import LEARNED


class LearnedMap(LiveMethod):
    """What each cell contributes to the word's probability when others are hidden: a prediction.

    A network has learnt from masked copies of other images how the probabilities of words depend on
    what is visible, see `inference.explanations.map_head`. It predicts the map from the encoding,
    the decoder's state, the word and its map by another live method, without masking this image.
    So it can err like any prediction, above all for words and images unlike those that it has
    learnt from. The map shows by how much phi exceeds its minimum.
    """

    name = LEARNED
    title = "Learned map (predicts RISE; not computed from this frame alone)"
    paper = (
        "Jethani et al., FastSHAP: Real-Time Shapley Value Estimation, ICLR 2022; Schwarzenberg et "
        "al., Efficient Explanations from Empirical Explainers, BlackboxNLP 2021; masks after "
        "Petsiuk et al., RISE, BMVC 2018"
    )
    cost = "a live map of another method, and a small network"
    unit = "share of the word's probability"
    kinds: ClassVar[frozenset[TargetKind]] = frozenset({"word", "caption"})
