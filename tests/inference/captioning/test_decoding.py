import numpy as np
import pytest

from inference.captioning.caption import Caption, Fallback, Timing
from inference.captioning.decoding import Reader
from models.calibration.confidence import EVIDENCE, Doubt
from models.captioner.beam_search import BeamCaption
from models.language.vocabulary import END, PAD, SPECIAL_WORDS, Vocabulary
from tests.support.captions import shorter, sure

VOCABULARY = Vocabulary([*SPECIAL_WORDS, "a", "dog", "runs"])
GRID = np.ones((2, 2, 3), np.float32)
WHOLE, DOUBTED = sure("A dog runs"), shorter("A dog", "A dog runs")
SURE = 0.5
"""What every caption's confidence is."""


def read(threshold: float, before: Caption | None) -> Fallback | None:
    doubt = Doubt(1.0, (0.0,) * len(EVIDENCE), offset=0.0, threshold=threshold, beginning=1.0)
    tokens = np.array([4, 5, 6, END, PAD], np.int32)
    log_probs = np.where(tokens == PAD, 0, np.log(0.8)).astype(np.float32)
    found = BeamCaption(
        tokens=tokens,
        log_probs=log_probs,
        alternative_tokens=tokens[:, None],
        alternative_log_probs=log_probs[:, None],
        search_log_probs=log_probs,
        scores=log_probs[:1],
        hidden=log_probs[:, None],
    )
    caption = Reader(VOCABULARY, doubt).read(found, GRID, (), Timing(0.0, 0.0), before)
    assert caption.confidence == SURE
    assert (caption.guess or caption.text) == "A dog runs"
    return caption.fallback


@pytest.mark.parametrize("before", [None, WHOLE, DOUBTED])
def test_what_is_far_from_the_threshold_is_doubted_or_said_whatever_was_before(
    before: Caption | None,
) -> None:
    assert read(SURE - 0.2, before) is None
    assert read(SURE + 0.2, before) == "tags"


@pytest.mark.parametrize("away", [-0.05, 0.05])
def test_a_caption_near_the_threshold_stays_what_it_was(away: float) -> None:
    assert read(SURE + away, WHOLE) is None
    assert read(SURE + away, DOUBTED) == "tags"
    assert read(SURE + away, None) == (None if away < 0 else "tags")
