"""The conversion of a decoder's results to captions."""

import math

import numpy as np
from numpy.typing import NDArray

from inference.captioning.caption import (
    Alternative,
    Caption,
    Tag,
    Timing,
    Word,
    low_confidence_fallback,
)
from inference.captioning.wording import Wording, WordSpan, join_words
from models.calibration import ConfidenceCalibration, confidence_features
from models.captioner import BeamCaption

ALTERNATIVES = 3
"""Runners-up of each word."""

_HYSTERESIS = 0.1
"""How far the confidence must cross the threshold before the same caption is replaced by its
fallback, or shown whole again."""


class CaptionBuilder:
    """Converts a decoder's results to captions in words."""

    def __init__(self, wording: Wording, calibration: ConfidenceCalibration | None) -> None:
        """Set the words and the calibration; without one no caption has a confidence."""
        self._wording = wording
        self._calibration = calibration

    def build(
        self,
        found: BeamCaption,
        grid: NDArray[np.float32],
        tags: tuple[Tag, ...],
        timing: Timing,
        previous: Caption | None = None,
        *,
        fallback: bool = True,
    ) -> Caption:
        """Build the caption of one image.

        Args:
            found: The image's row of each array: [T, ...].
            grid: The cells, [rows, columns, channels], from which the caption was decoded.
            tags: The image's tags.
            timing: How long it took.
            previous: The stream's previous caption, if this one has the same words. Near the
                threshold it keeps the previous fallback, or none if there was none.
            fallback: Whether a caption of low confidence is replaced by its fallback.
        """
        length = len(self._wording.strip(found.tokens))
        words = tuple(self._word(found, span) for span in self._wording.words(found.tokens))
        confidence = self._confidence(found.search_log_probs[: length + 1], grid)
        runner_up, instead_of = self._others(found)
        whole = Caption(
            text=join_words(word.text for word in words),
            confidence=None if confidence is None else round(confidence, 4),
            words=words,
            tags=tags,
            fallback=None,
            guess="",
            kept=False,
            timing_ms=timing,
            runner_up=runner_up,
            instead_of=instead_of,
        )
        calibration = self._calibration if fallback else None
        if calibration is None or confidence is None:
            return whole
        if confidence >= calibration.threshold + _hysteresis(previous):
            return whole
        return low_confidence_fallback(whole, calibration.prefix_threshold)

    def _others(self, found: BeamCaption) -> tuple[str, str]:
        """Return `runner_up` and `instead_of` of a caption."""
        texts = [self._wording.text(found.beam[index]) for index in found.ranking()]
        runner_up = next((text for text in texts if text != texts[0]), "")
        first = self._wording.text(found.beam[0])
        return runner_up, "" if first == texts[0] else first

    def _confidence(
        self, log_probs: NDArray[np.float32], grid: NDArray[np.float32]
    ) -> float | None:
        if self._calibration is None:
            return None
        return float(self._calibration.confidence(confidence_features(log_probs, grid)))

    def _word(self, found: BeamCaption, span: WordSpan) -> Word:
        """Build a word: its probability is the product of its tokens'.

        Its alternatives are other tokens that a word can begin with, in its first token's place.
        """
        first = span.start
        token = int(found.tokens[first])
        others = zip(
            found.alternative_tokens[first], found.alternative_log_probs[first], strict=True
        )
        alternatives = [
            Alternative(text, round(math.exp(log_prob), 4))
            for other, log_prob in others
            if other != token and (text := self._wording.first_text(int(other)))
        ]
        prob = round(math.exp(float(found.log_probs[first : span.stop].sum())), 4)
        return Word(span.text, prob, tuple(alternatives[:ALTERNATIVES]))


def _hysteresis(previous: Caption | None) -> float:
    if previous is None:
        return 0.0
    return -_HYSTERESIS if previous.fallback is None else _HYSTERESIS
