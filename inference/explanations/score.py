"""Scores of targets: the scalar z as a function of the grid, and its gradient."""

from abc import ABC, abstractmethod
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.direct_cam import ClassActivationMaps
from inference.explanations.objective import LogitTerms, logit_terms
from inference.explanations.target import Target
from models.calibration import logistic, tag_kinds

Array = NDArray[np.float32]


def target_score(subject: CaptionedImage, target: Target) -> "Score":
    """Resolve a target to its score.

    Raises:
        ValueError: If the caption has no such word, or the vocabulary or the tags have no such
            text.
    """
    return TagScore(subject, target) if target.kind == "tag" else CaptionScore(subject, target)


class Score(ABC):
    """The score z of a target."""

    @abstractmethod
    def logits(self, grids: Array) -> Array:
        """Compute z of grids [B, rows, columns, channels]: [B]."""

    @abstractmethod
    def probabilities(self, grids: Array) -> NDArray[np.floating]:
        """Compute the probability of the target given the grids [B, ...]: [B], in 0..1.

        Of a word, p(word | image, previous words) as captions state it; of a contrast, that of the
        first word if there were only the two; of a caption, the geometric mean of its words'; of a
        tag, its own.
        """

    @abstractmethod
    def gradient(self, grid: Array) -> Array:
        """Differentiate z at a grid [rows, columns, channels], through all previous steps."""

    @abstractmethod
    def direct_cams(self) -> ClassActivationMaps:
        """Attribute z to the cells of the subject's own grid: signed, [rows, columns].

        The gradient stops at the previous step.
        """


class CaptionScore(Score):
    """The score of a word, a contrast or a caption."""

    def __init__(self, subject: CaptionedImage, target: Target) -> None:
        """Resolve the target; see `target_score`."""
        self.terms = logit_terms(target, subject.words, subject.model.captioner.vocabulary)
        self._subject, self._target = subject, target
        self._graphs = subject.model.graphs

    @cached_property
    def _tokens(self) -> NDArray[np.int32]:
        return np.array(self._subject.tokens[: len(self.terms.plus)], np.int32)

    def logits(self, grids: Array) -> Array:  # noqa: D102
        return self._graphs.caption_logits(grids, self._tokens, self.terms)

    def probabilities(self, grids: Array) -> NDArray[np.floating]:  # noqa: D102
        if self._target.kind == "contrast":
            return logistic(self.logits(grids))
        rescored = self._subject.model.rescore(grids, [self._subject.tokens] * len(grids))
        places = np.flatnonzero(self.terms.plus)
        log_probs: Array = np.asarray(rescored.log_probs)[:, places]
        return np.asarray(np.exp(log_probs.mean(axis=1)))

    def gradient(self, grid: Array) -> Array:  # noqa: D102
        return self._graphs.caption_gradient(grid, self._tokens, self.terms)

    def direct_cams(self) -> ClassActivationMaps:  # noqa: D102
        hidden = np.asarray(self._subject.rescored.hidden)[: len(self._tokens)]
        rows = LogitTerms(*(part[None] for part in self.terms))
        cams = self._graphs.direct_cams(self._subject.grid[None], hidden[None], rows)
        return ClassActivationMaps(*(maps[0].sum(axis=0) for maps in cams))


class TagScore(Score):
    """The score of a tag: its log-odds."""

    def __init__(self, subject: CaptionedImage, target: Target) -> None:
        """Resolve the target; see `target_score`."""
        if not subject.model.has_tags:
            raise ValueError("this captioner has no tags")
        names = [kind.name for kind in tag_kinds()]
        if target.text not in names:
            raise ValueError(f"there is no tag {target.text!r}")
        self._index = names.index(target.text)
        self._subject, self._graphs = subject, subject.model.graphs

    def logits(self, grids: Array) -> Array:  # noqa: D102
        return self._graphs.tag_logits(grids)[:, self._index]

    def probabilities(self, grids: Array) -> NDArray[np.floating]:  # noqa: D102
        return logistic(self.logits(grids))

    def gradient(self, grid: Array) -> Array:  # noqa: D102
        return self._graphs.tag_gradient(grid, self._index)

    def direct_cams(self) -> ClassActivationMaps:  # noqa: D102
        return cams_from_gradient(self.gradient(self._subject.grid), self._subject.grid)


def cams_from_gradient(gradient: Array, grid: Array) -> ClassActivationMaps:
    """Compute maps [rows, columns] from a gradient at a grid, both [rows, columns, channels].

    Read-CAM is computed at the grid itself, which is what the tags' classifier reads.
    """
    alpha = gradient.mean(axis=(0, 1))
    return ClassActivationMaps(
        gradcam=grid @ alpha,
        hirescam=(gradient * grid).sum(axis=-1),
        readcam=(grid - grid.mean(axis=(0, 1))) @ alpha,
    )
