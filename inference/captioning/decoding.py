"""The conversion of a decoder's results to captions, and the fallback of low confidence."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inference.captioning.caption import (
    Alternative,
    Caption,
    Tag,
    Timing,
    Word,
)
from inference.captioning.wording import Wording, WordSpan, join_words
from models.calibration import (
    RUNNERS_UP,
    Assessment,
    CaptionEvidence,
    ConfidenceCalibration,
    WordEvidence,
    likely_part,
    runners_up,
)
from models.captioner import BeamCaption

ALTERNATIVES = RUNNERS_UP
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
        spans = self._wording.words(found.tokens)
        assessment = self._assess(found, spans, grid, tags)
        confidences = assessment.words if assessment else (None,) * len(spans)
        pairs = zip(spans, confidences, strict=True)
        words = tuple(self._word(found, span, confidence) for span, confidence in pairs)
        confidence = assessment.confidence if assessment else None
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
        return low_confidence_fallback(whole, calibration.word_threshold)

    def _others(self, found: BeamCaption) -> tuple[str, str]:
        """Return `runner_up` and `instead_of` of a caption."""
        texts = [self._wording.text(found.beam[index]) for index in found.ranking()]
        runner_up = next((text for text in texts if text != texts[0]), "")
        first = self._wording.text(found.beam[0])
        return runner_up, "" if first == texts[0] else first

    def _assess(
        self,
        found: BeamCaption,
        spans: Sequence[WordSpan],
        grid: NDArray[np.float32],
        tags: Sequence[Tag],
    ) -> Assessment | None:
        if self._calibration is None:
            return None
        text_of, temperature = self._wording.first_text, self._calibration.temperature
        words = [
            WordEvidence(
                span.text,
                float(found.search_log_probs[span.start : span.stop].sum()),
                runners_up(found, span.start, text_of, temperature),
            )
            for span in spans
        ]
        length = len(self._wording.strip(found.tokens))
        log_probs = found.search_log_probs[: length + 1]
        names = [tag.text for tag in tags]
        return self._calibration.assess(CaptionEvidence.of(words, log_probs, grid, names))

    def _word(self, found: BeamCaption, span: WordSpan, confidence: float | None) -> Word:
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
        rounded = None if confidence is None else round(confidence, 4)
        return Word(span.text, prob, tuple(alternatives[:ALTERNATIVES]), rounded)


def blank_caption(*, calibrated: bool) -> Caption:
    """Return the caption of an image that shows nothing, see `models.calibration.is_blank`.

    It has neither words nor tags.
    """
    confidence = 0.0 if calibrated else None
    return Caption("", confidence, (), (), "blank", "", False, Timing(0.0, 0.0))


def low_confidence_fallback(caption: Caption, threshold: float) -> Caption:
    """Reduce a caption of low confidence to what is likely to be right.

    Args:
        caption: The whole caption of a calibrated captioner, with its tags.
        threshold: Least confidence of a word that is kept.

    Returns:
        The caption with `fallback` and `guess`: the tags if there are any, otherwise the longest
        beginning that can stand alone, otherwise objects that the caption names; `text` is empty if
        there is none of these.
    """
    fallback = replace(caption, fallback="tags", guess=caption.text, words=())
    if caption.tags:
        return replace(fallback, text=", ".join(tag.text for tag in caption.tags))
    texts = [word.text for word in caption.words]
    part = likely_part(texts, [word.confidence for word in caption.words], threshold)
    words = tuple(caption.words[place] for place in part.places)
    if not words:
        return replace(fallback, text="")
    if part.kind == "words":
        text = ", ".join(word.text for word in words)
        return replace(fallback, fallback="words", text=text)
    text = join_words(word.text for word in words)
    return replace(fallback, fallback="shorter", text=text, words=words)


def _hysteresis(previous: Caption | None) -> float:
    if previous is None:
        return 0.0
    return -_HYSTERESIS if previous.fallback is None else _HYSTERESIS
