"""The confidence of words: the probability that people say the word, or a synonym, of the image.

It differs from the probability of the next word, p(word | image, previous words), which is shared
among all that might be said in this place. It is a logistic regression on what is known of a
caption; the words that are right more or less often than that predicts have an offset, shrunk
towards 0. Only content words have a confidence: people use "a", "is" or "on" in nearly every
caption, so that such a word is right whether or not the caption is.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.calibration.logistic import logistic
from models.captioner import BeamCaption
from models.language import content_words, stem
from models.lexicon import right_stems

WORD_FEATURES = (
    "synonyms",
    "margin",
    "mean_log_prob",
    "activity",
    "tagged",
    "has_tags",
    "first",
)
"""Inputs of a word's confidence: the log-odds of the word with its synonyms among the runners-up;
their log-probability minus that of the best other runner-up; `CaptionEvidence.mean_log_prob` and
`activity`; whether a tag names the word; whether there are tags; whether it is the caption's first
content word."""

RUNNERS_UP = 3
"""Words beside each word of a caption that are known, at most."""

_MOST = 0.999
"""A higher probability counts as this."""

_LEAST_LOG_PROB = -12.0
"""A lower log-probability of a runner-up, or none, counts as this."""


class WordEvidence(NamedTuple):
    """A word of a caption as the decoder chose it. Probabilities are those of the search."""

    text: str
    """Lower case."""
    log_prob: float
    """log p(word | image, previous words)."""
    others: tuple[tuple[str, float], ...]
    """Other words in its place, with their log-probabilities."""


@dataclass(frozen=True, slots=True)
class CaptionEvidence:
    """What the confidence of a caption and of its words is computed from."""

    words: tuple[WordEvidence, ...]
    mean_log_prob: float
    """Of the words and the end token."""
    activity: float
    """Norm of the mean of the image's cells."""
    evenness: float
    """`activity`, divided by how much the cells vary; high for an image without structure."""
    tags: tuple[str, ...]
    """Of the image."""

    @classmethod
    def of(
        cls,
        words: Sequence[WordEvidence],
        log_probs: NDArray[np.floating],
        cells: NDArray[np.floating],
        tags: Collection[str],
    ) -> "CaptionEvidence":
        """Reduce a caption and its image.

        Args:
            words: The words.
            log_probs: [T], of all tokens, the end token among them.
            cells: [rows, columns, channels], the encoder's output.
            tags: Of the image.
        """
        activity = float(np.linalg.norm(cells.mean(axis=(0, 1), dtype=np.float64)))
        variation = float(cells.std(axis=(0, 1), dtype=np.float64).mean())
        return cls(
            tuple(words),
            float(log_probs.mean()) if len(log_probs) else 0.0,
            activity,
            activity / max(variation, 1e-3 * activity, 1e-9),
            tuple(tags),
        )

    @property
    def content(self) -> tuple[int, ...]:
        """The places of the content words."""
        return tuple(i for i, word in enumerate(self.words) if content_words(word.text))

    def word_features(self) -> NDArray[np.float64]:
        """Compute the inputs of the confidence of the content words, [n, len(WORD_FEATURES)]."""
        named = {name for tag in self.tags for name in right_stems(tag)}
        rows = [
            (
                *_against_others(self.words[place]),
                self.mean_log_prob,
                self.activity,
                not named.isdisjoint(right_stems(self.words[place].text)),
                bool(self.tags),
                number == 0,
            )
            for number, place in enumerate(self.content)
        ]
        return np.array(rows, np.float64).reshape(-1, len(WORD_FEATURES))


@dataclass(frozen=True, slots=True)
class WordCalibration:
    """Calibration of the confidence of words."""

    weights: tuple[float, ...]
    """One for each of `WORD_FEATURES`."""
    offset: float
    offsets: dict[str, float]
    """Of words, by their stem, in log-odds; 0 for the others."""

    def __post_init__(self) -> None:
        if len(self.weights) != len(WORD_FEATURES):
            raise ValueError(
                f"a calibration of words needs {len(WORD_FEATURES)} weights, not "
                f"{len(self.weights)}"
            )

    def confidence(self, evidence: CaptionEvidence) -> NDArray[np.float64]:
        """Return the confidence of the content words, in 0..1: [len(evidence.content)]."""
        own = [
            self.offsets.get(stem(evidence.words[place].text), 0.0) for place in evidence.content
        ]
        return logistic(evidence.word_features() @ np.array(self.weights) + self.offset + own)


def runners_up(
    found: BeamCaption,
    place: int,
    text_of: Callable[[int], str | None],
    temperature: float = 1.0,
) -> tuple[tuple[str, float], ...]:
    """Return the runners-up of a word with their log-probabilities in the search.

    Args:
        found: A caption, each array [T, ...].
        place: Of the word's first token.
        text_of: Returns the text of a token, none or an empty one if no word begins with it.
        temperature: Of `found.log_probs` and `alternative_log_probs`.
    """
    token, log_prob = found.tokens[place], float(found.log_probs[place])
    others = zip(found.alternative_tokens[place], found.alternative_log_probs[place], strict=True)
    # At a temperature, the differences of logits are divided by it; the search's is 1.
    texts = [
        (text, float(found.search_log_probs[place]) + temperature * (float(each) - log_prob))
        for other, each in others
        if other != token and (text := text_of(int(other)))
    ]
    return tuple(texts[:RUNNERS_UP])


def _against_others(word: WordEvidence) -> tuple[float, float]:
    """Return `synonyms` and `margin` of `WORD_FEATURES`."""
    right = right_stems(word.text)
    same = math.exp(word.log_prob) + sum(
        math.exp(log_prob) for text, log_prob in word.others if stem(text) in right
    )
    same = min(max(same, math.exp(_LEAST_LOG_PROB)), _MOST)
    best = max(
        (log_prob for text, log_prob in word.others if stem(text) not in right),
        default=_LEAST_LOG_PROB,
    )
    return math.log(same / (1 - same)), math.log(same) - max(best, _LEAST_LOG_PROB)
