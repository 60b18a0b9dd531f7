"""Calibrated confidence of captions and words.

A word's probability is p(word | image, previous words) at a temperature (Guo et al., "On
Calibration of Modern Neural Networks", ICML 2017). Its confidence is the probability that it is
right, see `models.calibration.word_confidence`. A caption's confidence is the probability that it
is mostly right: that at least two thirds of its content words are right, in the eyes of five people
who described the same image.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.calibration.logistic import logistic
from models.calibration.word_confidence import CaptionEvidence, WordCalibration
from models.language import content_words, stem, tokenize
from models.lexicon import is_right, stated_stems

RIGHT_SHARE = 2 / 3
"""Least share of content words that must be right for a caption to be mostly right."""

CONFIDENCE_FEATURES = ("word_confidence", "activity", "evenness")
"""Inputs of the confidence: the mean confidence of the content words, and of `CaptionEvidence`."""


class Assessment(NamedTuple):
    """The confidence of a caption and of its words."""

    confidence: float
    """In 0..1."""
    words: tuple[float | None, ...]
    """In 0..1, of each word; None for function words."""


@dataclass(frozen=True, slots=True)
class ConfidenceCalibration:
    """Calibration of a captioner's probabilities, as `python -m models.calibrate` fits it."""

    temperature: float
    """Divides the logits before word probabilities are computed."""
    words: WordCalibration
    weights: tuple[float, ...]
    """One for each of `CONFIDENCE_FEATURES`."""
    offset: float
    threshold: float
    """Captions with a lower confidence are replaced by the low-confidence fallback."""
    word_threshold: float
    """The fallback keeps words of at least this confidence."""

    def __post_init__(self) -> None:
        if len(self.weights) != len(CONFIDENCE_FEATURES) or not self.temperature > 0:
            raise ValueError(
                f"a confidence calibration needs {len(CONFIDENCE_FEATURES)} weights and a "
                f"temperature above 0, not {len(self.weights)} and {self.temperature}"
            )

    def assess(self, evidence: CaptionEvidence) -> Assessment:
        """Return the confidence of a caption and of its words."""
        known = self.words.confidence(evidence)
        features = confidence_features(evidence, known)
        confidence = float(logistic(features @ np.array(self.weights) + self.offset))
        words: list[float | None] = [None] * len(evidence.words)
        for place, each in zip(evidence.content, known.tolist(), strict=True):
            words[place] = each
        return Assessment(confidence, tuple(words))


def confidence_features(
    evidence: CaptionEvidence, words: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Compute the inputs of a caption's confidence, [len(CONFIDENCE_FEATURES)].

    Args:
        evidence: Of the caption.
        words: The confidence of its content words.
    """
    mean = float(words.mean()) if len(words) else 0.0
    return np.array([mean, evidence.activity, evidence.evenness])


def is_mostly_right(caption: str, references: tuple[str, ...]) -> bool:
    """Return whether people say most of a caption's content words, or synonyms of these."""
    words = {stem(word): word for word in tokenize(caption) if content_words(word)}
    stated = stated_stems(references)
    right = sum(is_right(word, stated) for word in words.values())
    return bool(words) and right >= RIGHT_SHARE * len(words)
