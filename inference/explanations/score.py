"""z as a function of the grid: what methods differentiate, or watch while they hide places."""

from abc import ABC, abstractmethod
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inference.explanations.direct_cam import Cams
from inference.explanations.objective import Terms, terms
from inference.explanations.subject import Subject
from inference.explanations.target import Target
from models.calibration import kinds, logistic

Array = NDArray[np.float32]


def score(subject: Subject, target: Target) -> "Score":
    """Resolve a target.

    Raises:
        ValueError: If the caption has no such word, or the vocabulary or the tags no such text.
    """
    return TagScore(subject, target) if target.kind == "tag" else CaptionScore(subject, target)


class Score(ABC):
    """The z of a target."""

    @abstractmethod
    def logits(self, grids: Array) -> Array:
        """Compute z for grids [B, rows, columns, channels]: [B]."""

    @abstractmethod
    def probabilities(self, grids: Array) -> NDArray[np.floating]:
        """Tell how likely it is that this is said of the grids [B, ...]: [B] in 0..1.

        Of a word, p(word | picture, words before) as captions state it; of a contrast, that of the
        one word if there were but the two; of a caption, the geometric mean of its words'; of a
        tag, its own.
        """

    @abstractmethod
    def gradient(self, grid: Array) -> Array:
        """Differentiate z to the grid [rows, columns, channels], through all earlier steps."""

    @abstractmethod
    def direct(self) -> Cams:
        """Attribute z to the cells of the subject's own grid: of any sign, [rows, columns].

        The gradient stops at what each step was handed by the one before.
        """


class CaptionScore(Score):
    """Of a word, a contrast or a caption."""

    def __init__(self, subject: Subject, target: Target) -> None:
        """Resolve the target; see `score`."""
        self.terms = terms(target, subject.words, subject.model.captioner.vocabulary)
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
        told = self._subject.model.retell(grids, [self._subject.tokens] * len(grids))
        places = np.flatnonzero(self.terms.plus)
        log_probs: Array = np.asarray(told.log_probs)[:, places]
        return np.asarray(np.exp(log_probs.mean(axis=1)))

    def gradient(self, grid: Array) -> Array:  # noqa: D102
        return self._graphs.caption_gradient(grid, self._tokens, self.terms)

    def direct(self) -> Cams:  # noqa: D102
        hidden = np.asarray(self._subject.told.hidden)[: len(self._tokens)]
        rows = Terms(*(part[None] for part in self.terms))
        cams = self._graphs.direct_cams(self._subject.grid[None], hidden[None], rows)
        return Cams(*(maps[0].sum(axis=0) for maps in cams))


class TagScore(Score):
    """Of a tag."""

    def __init__(self, subject: Subject, target: Target) -> None:
        """Resolve the target; see `score`."""
        if not subject.model.has_tags:
            raise ValueError("this captioner knows no tags")
        names = [kind.name for kind in kinds()]
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

    def direct(self) -> Cams:  # noqa: D102
        return cams(self.gradient(self._subject.grid), self._subject.grid)


def cams(gradient: Array, grid: Array) -> Cams:
    """Make maps [rows, columns] of a gradient at a grid, [rows, columns, channels] each.

    What is read is the grid itself, as the tags' classifier reads it.
    """
    alpha = gradient.mean(axis=(0, 1))
    return Cams(
        gradcam=grid @ alpha,
        hirescam=(gradient * grid).sum(axis=-1),
        readcam=(grid - grid.mean(axis=(0, 1))) @ alpha,
    )
