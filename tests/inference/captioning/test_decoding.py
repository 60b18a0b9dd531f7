import numpy as np
import pytest

from inference.captioning.caption import Caption, Fallback, Timing
from inference.captioning.decoding import CaptionBuilder
from inference.captioning.wording import Wording
from models.calibration.confidence import CONFIDENCE_FEATURES, ConfidenceCalibration
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


def fallback(threshold: float, previous: Caption | None) -> Fallback | None:
    calibration = ConfidenceCalibration(
        1.0,
        (0.0,) * len(CONFIDENCE_FEATURES),
        offset=0.0,
        threshold=threshold,
        prefix_threshold=1.0,
    )
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
