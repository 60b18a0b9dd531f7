import numpy as np
import pytest

from inference.captioning.caption import Caption, Fallback, Tag, Timing, Word
from inference.captioning.decoding import CaptionBuilder, low_confidence_fallback
from inference.captioning.wording import Wording
from models.calibration import ConfidenceCalibration, WordCalibration
from models.calibration.confidence import CONFIDENCE_FEATURES
from models.calibration.word_confidence import WORD_FEATURES
from models.captioner.beam_search import BeamCaption
from models.language import END, PAD, SPECIAL_WORDS
from tests.support.captions import confident_caption, shorter_fallback

WORDING = Wording([*SPECIAL_WORDS, "a", "dog", "runs"], END, range(len(SPECIAL_WORDS)))
GRID = np.ones((2, 2, 3), np.float32)
WHOLE, FALLBACK = confident_caption("A dog runs"), shorter_fallback("A dog", "A dog runs")
CONFIDENCE = 0.5
"""Of every caption."""


def build(calibration: ConfidenceCalibration | None, previous: Caption | None = None) -> Caption:
    tokens = np.array([4, 5, 6, END, PAD], np.int32)
    log_probs = np.where(tokens == PAD, 0, np.log(0.8)).astype(np.float32)
    found = BeamCaption(
        tokens=tokens,
        log_probs=log_probs,
        alternative_tokens=tokens[:, None],
        alternative_log_probs=log_probs[:, None],
        search_log_probs=log_probs,
        hidden=log_probs[:, None],
        beam=tokens[None],
        scores=log_probs[:1],
        agreement=np.zeros(1, np.float32),
    )
    return CaptionBuilder(WORDING, calibration).build(found, GRID, (), Timing(0.0, 0.0), previous)


def constant(threshold: float) -> ConfidenceCalibration:
    """Return a calibration by which every caption and every content word is as good as not."""
    words = WordCalibration((0.0,) * len(WORD_FEATURES), 0.0, {"dog": 1.0})
    weights = (0.0,) * len(CONFIDENCE_FEATURES)
    return ConfidenceCalibration(1.0, words, weights, 0.0, threshold, word_threshold=1.0)


def fallback(threshold: float, previous: Caption | None) -> Fallback | None:
    calibration = constant(threshold)
    caption = build(calibration, previous)
    assert caption.confidence == CONFIDENCE
    assert (caption.guess or caption.text) == "A dog runs"
    return caption.fallback


@pytest.mark.parametrize("previous", [None, WHOLE, FALLBACK])
def test_far_from_the_threshold_the_previous_caption_does_not_matter(
    previous: Caption | None,
) -> None:
    assert fallback(CONFIDENCE - 0.2, previous) is None
    assert fallback(CONFIDENCE + 0.2, previous) == "tags"


@pytest.mark.parametrize("away", [-0.05, 0.05])
def test_near_the_threshold_a_caption_keeps_its_fallback_or_lack_of_one(away: float) -> None:
    assert fallback(CONFIDENCE + away, WHOLE) is None
    assert fallback(CONFIDENCE + away, FALLBACK) == "tags"
    assert fallback(CONFIDENCE + away, None) == (None if away < 0 else "tags")


def test_without_a_calibration_a_caption_has_scores_of_words_but_no_confidence() -> None:
    caption = build(None)

    assert (caption.text, caption.confidence, caption.fallback) == ("A dog runs", None, None)
    assert [word.prob for word in caption.words] == [0.8, 0.8, 0.8]


def test_content_words_have_a_confidence_beside_their_probability() -> None:
    words = build(constant(0.0)).words

    assert [word.prob for word in words] == [0.8, 0.8, 0.8]
    assert [word.confidence for word in words] == [None, round(1 / (1 + np.exp(-1)), 4), 0.5]


def make(text: str, confidences: list[float | None], tags: tuple[Tag, ...] = ()) -> Caption:
    words = [Word(w, 0.5, (), c) for w, c in zip(text.lower().split(), confidences, strict=True)]
    return Caption(text, 0.2, tuple(words), tags, None, "", False, Timing(1, 1))


def test_the_fallback_is_the_tags_if_there_are_any() -> None:
    tags = (Tag("laptop", 0.9), Tag("desk", 0.8))
    caption = make("A man in a shirt", [None, 0.9, None, None, 0.9], tags)

    found = low_confidence_fallback(caption, threshold=0.5)

    assert (found.text, found.fallback, found.words) == ("laptop, desk", "tags", ())
    assert (found.guess, found.tags) == ("A man in a shirt", tags)


def test_the_fallback_without_tags_is_the_likely_beginning() -> None:
    caption = make("A man in a shirt", [None, 0.8, None, None, 0.2])

    found = low_confidence_fallback(caption, threshold=0.5)

    assert (found.text, found.fallback, found.guess) == ("A man", "shorter", "A man in a shirt")
    assert [word.text for word in found.words] == ["a", "man"]


def test_the_fallback_without_a_likely_beginning_lists_likely_objects() -> None:
    confidences = [None, 0.4, None, 0.8, None, None, 0.9]
    caption = make("A group of people in the street", confidences)

    found = low_confidence_fallback(caption, threshold=0.5)

    assert (found.text, found.fallback, found.words) == ("people, street", "words", ())


def test_the_fallback_is_empty_when_nothing_is_likely() -> None:
    caption = make("A man in a shirt", [None, 0.4, None, None, 0.2])

    found = low_confidence_fallback(caption, threshold=0.5)

    assert (found.text, found.words, found.guess) == ("", (), "A man in a shirt")
