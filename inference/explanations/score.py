"""Scores of targets: the scalar z as a function of the encoding, and its gradient."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.captioning.objective import LogitTerms
from inference.captioning.wording import WordSpan
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.target import Target
from inference.explanations.token_maps import token_maps
from models.calibration import logistic
from models.language import PAD
from models.tag_kinds import tag_kinds

Array = NDArray[np.float32]
Tokens = NDArray[np.int32]


class CopyScores(NamedTuple):
    """What every target of a captioned image scores on M changed copies of the image."""

    candidates: Tokens
    """[T, K]: tokens in each place of the caption, among them the caption's own."""
    log_probs: Array
    """[M, T]: of the caption's tokens, see `TokenScores`."""
    logits: Array
    """[M, T, K]: of the candidates."""
    tag_logits: Array
    """[M, kinds]: no kinds if the captioner has no tags."""


def target_score(subject: CaptionedImage, target: Target) -> "Score":
    """Resolve a target to its score.

    Raises:
        ValueError: If the caption has no such word, or the vocabulary or the tags have no such
            text.
    """
    return TagScore(subject, target) if target.kind == "tag" else CaptionScore(subject, target)


class Score(ABC):
    """The score z of a target. Grids are encodings, see `inference.captioning.model`."""

    def __init__(self, subject: CaptionedImage) -> None:
        self._subject, self._model = subject, subject.model

    @abstractmethod
    def logits(self, grids: Array) -> Array:
        """Compute z of grids [B, ...]: [B]."""

    @abstractmethod
    def probabilities(self, grids: Array) -> NDArray[np.floating]:
        """Compute the probability of the target given the grids [B, ...]: [B], in 0..1.

        Of a word, p(word | image, previous words) as captions state it; of a contrast, that of the
        first word if there were only the two; of a caption, the geometric mean of its words'; of a
        tag, its own.
        """

    @abstractmethod
    def logits_of(self, copies: CopyScores) -> Array:
        """Return z of copies of the image, as `logits` of their grids: [M]."""

    @abstractmethod
    def probabilities_of(self, copies: CopyScores) -> NDArray[np.floating]:
        """Return the probability of the target in copies, as `probabilities` of their grids."""

    def can_read(self, candidates: Tokens) -> bool:
        """Return whether copies that were scored with these candidates have all that z needs."""
        return True

    def own_candidates(self, places: int) -> Tokens:
        """Return the tokens that z needs in each of a caption's places: [places, 2]."""
        return np.full((places, 2), PAD, np.int32)

    @abstractmethod
    def gradient(self, grid: Array) -> Array:
        """Differentiate z at a grid [...], through all previous steps: [...]."""

    def cell_gradient(self) -> Array:
        """Differentiate z at the cells of the subject's own grid: [rows, columns, channels]."""
        (gradient,) = self._model.cells(self.gradient(self._subject.grid)[None])
        return np.asarray(gradient)

    def token_map(self, method: str) -> Array | None:
        """Attribute z to the cells by one of `CaptionModel.live_methods`: signed, [rows, columns].

        None if the captioner does not compute this method's maps itself.
        """
        return None


class CaptionScore(Score):
    """The score of a word, a contrast or a caption."""

    def __init__(self, subject: CaptionedImage, target: Target) -> None:
        """Resolve the target; see `target_score`."""
        super().__init__(subject)
        self.terms, self._words = _logit_terms(subject, target), 1
        self._target = target
        if target.kind == "caption":
            self._words = len(subject.spans)

    @cached_property
    def _tokens(self) -> Tokens:
        return np.array(self._subject.tokens[: len(self.terms.plus)], np.int32)

    def logits(self, grids: Array) -> Array:  # noqa: D102
        return self.logits_of(self._scored(grids))

    def probabilities(self, grids: Array) -> NDArray[np.floating]:  # noqa: D102
        return self.probabilities_of(self._scored(grids))

    def logits_of(self, copies: CopyScores) -> Array:  # noqa: D102
        z = np.zeros(len(copies.logits), np.float32)
        for place, token, sign in self._signed_terms():
            column = int(np.argmax(copies.candidates[place] == token))
            z += sign * copies.logits[:, place, column]
        return z

    def probabilities_of(self, copies: CopyScores) -> NDArray[np.floating]:  # noqa: D102
        if self._target.kind == "contrast":
            return logistic(self.logits_of(copies))
        log_probs = copies.log_probs[:, np.flatnonzero(self.terms.plus)]
        return np.asarray(np.exp(log_probs.sum(axis=1) / self._words))

    def can_read(self, candidates: Tokens) -> bool:  # noqa: D102
        return all(token in candidates[place] for place, token, _ in self._signed_terms())

    def own_candidates(self, places: int) -> Tokens:  # noqa: D102
        rest = np.full((places - len(self._tokens), 2), PAD, np.int32)
        return np.concatenate([np.stack(self.terms, axis=1), rest])

    def _scored(self, grids: Array) -> CopyScores:
        candidates = self.own_candidates(len(self._tokens))
        scores = self._model.token_scores(grids, self._tokens, candidates)
        return CopyScores(candidates, *scores, np.zeros((len(grids), 0), np.float32))

    def _signed_terms(self) -> Iterator[tuple[int, int, int]]:
        """Yield the place, the token and the sign of each term."""
        for sign, tokens in ((1, self.terms.plus), (-1, self.terms.minus)):
            for place in np.flatnonzero(tokens).tolist():
                yield place, int(tokens[place]), sign

    def gradient(self, grid: Array) -> Array:  # noqa: D102
        return self._model.gradient(grid, self._tokens, self.terms)

    def token_map(self, method: str) -> Array | None:  # noqa: D102
        if method not in self._model.live_methods:
            return None
        rows = LogitTerms(*(part[None] for part in self.terms))
        grids = self._subject.grid[None]
        maps = token_maps(self._model, method, grids, [self._subject.rescored], rows)
        return np.asarray(maps[0].sum(axis=0), np.float32)


class TagScore(Score):
    """The score of a tag: its log-odds."""

    def __init__(self, subject: CaptionedImage, target: Target) -> None:
        """Resolve the target; see `target_score`."""
        super().__init__(subject)
        if not subject.model.has_tags:
            raise ValueError("this captioner has no tags")
        names = [kind.name for kind in tag_kinds()]
        if target.text not in names:
            raise ValueError(f"there is no tag {target.text!r}")
        self._index = names.index(target.text)

    def logits(self, grids: Array) -> Array:  # noqa: D102
        return self._model.tag_logits(grids)[:, self._index]

    def probabilities(self, grids: Array) -> NDArray[np.floating]:  # noqa: D102
        return logistic(self.logits(grids))

    def logits_of(self, copies: CopyScores) -> Array:  # noqa: D102
        return copies.tag_logits[:, self._index]

    def probabilities_of(self, copies: CopyScores) -> NDArray[np.floating]:  # noqa: D102
        return logistic(self.logits_of(copies))

    def gradient(self, grid: Array) -> Array:  # noqa: D102
        return self._model.tag_gradient(grid, self._index)


def word_terms(tokens: Sequence[int], word: WordSpan) -> LogitTerms:
    """Return the terms of the logit of a caption's word, which is the sum over its tokens."""
    terms = LogitTerms(*(np.full(word.stop, PAD, np.int32) for _ in LogitTerms._fields))
    terms.plus[word.start :] = tokens[word.start : word.stop]
    return terms


def _logit_terms(subject: CaptionedImage, target: Target) -> LogitTerms:
    """Resolve a target other than a tag; T is up to the last place that has a term.

    Raises:
        ValueError: If the caption has no word at this index, or the captioner cannot say the other
            word.
    """
    if target.kind == "caption":
        if not subject.words:
            raise ValueError("a caption without words cannot be explained")
        plus = np.array(subject.words, np.int32)
        return LogitTerms(plus, np.full_like(plus, PAD))
    spans, index = subject.spans, target.index
    if index is None or not 0 <= index < len(spans):
        raise ValueError(f"the caption has {len(spans)} words, none at index {index}")
    if target.kind == "word":
        return word_terms(subject.tokens, spans[index])
    return _contrast_terms(subject, spans[index], target.text)


def _contrast_terms(subject: CaptionedImage, word: WordSpan, text: str | None) -> LogitTerms:
    """Compare a word with another one at the first token that differs."""
    other = subject.model.wording.tokens_of(text)
    if text == word.text:
        raise ValueError(f"the caption already has {text!r} here; choose another word")
    rest = subject.tokens[word.start :]
    # After a shorter word stands the next one, or the end: why the word ends there.
    pairs = enumerate(zip(rest, other, strict=False))
    same = next((place for place, (own, rival) in pairs if own != rival), None)
    if same is None:
        raise ValueError(
            f"{text!r} cannot be compared with {word.text!r}: one begins with the other; choose "
            "another word"
        )
    place = word.start + same
    terms = LogitTerms(*(np.full(place + 1, PAD, np.int32) for _ in LogitTerms._fields))
    terms.plus[place], terms.minus[place] = rest[same], other[same]
    return terms


def cams_from_gradient(gradient: Array, cells: Array) -> tuple[Array, Array]:
    """Compute Grad-CAM and HiResCAM from a gradient at cells, both [rows, columns, channels].

    Returns:
        The signed maps, [rows, columns] each.
    """
    return cells @ gradient.mean(axis=(0, 1)), (gradient * cells).sum(axis=-1)
