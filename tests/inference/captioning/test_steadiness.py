import json

import numpy as np
import pytest

from inference.captioning.steadiness import (
    CUT,
    NEWS_GAIN,
    PARAPHRASE_GAIN,
    STILL,
    Anchor,
    distance,
    features,
    takes_over,
)
from tests.support.captions import shorter

OLD = "A dog runs through the grass"
PARAPHRASE = "The dog is running in grass"
NEWS = "A dog catches a ball in the grass"


def test_a_cut_takes_any_caption_however_likely_the_old_one_is() -> None:
    for new in (PARAPHRASE, NEWS):
        assert takes_over(new, OLD, gain=-2.0, moved=CUT)
        assert takes_over(new, OLD, gain=-2.0, moved=0.6)


def test_where_nothing_moved_a_paraphrase_must_be_clearly_likelier() -> None:
    assert not takes_over(PARAPHRASE, OLD, gain=PARAPHRASE_GAIN - 0.01, moved=0)
    assert takes_over(PARAPHRASE, OLD, gain=PARAPHRASE_GAIN + 0.01, moved=0)


def test_news_need_less_than_a_paraphrase_but_more_than_noise_gives() -> None:
    assert NEWS_GAIN < PARAPHRASE_GAIN
    assert not takes_over(NEWS, OLD, gain=NEWS_GAIN - 0.01, moved=0)
    assert takes_over(NEWS, OLD, gain=NEWS_GAIN + 0.01, moved=0)


def test_the_more_moved_the_less_it_takes() -> None:
    gain = NEWS_GAIN / 2
    assert not takes_over(NEWS, OLD, gain, moved=STILL)
    assert takes_over(NEWS, OLD, gain, moved=0.6 * CUT)


def test_a_less_likely_caption_takes_over_only_at_a_cut() -> None:
    assert not takes_over(NEWS, OLD, gain=-0.01, moved=0.99 * CUT)


def test_the_distance_is_blind_to_brightness_and_never_undefined() -> None:
    one = features(np.random.default_rng(0).random((9, 9, 40), np.float32))
    nothing = np.zeros_like(one)

    assert distance(one, one) == pytest.approx(0, abs=1e-6)
    assert distance(one, (2 * one).astype(np.float16)) == pytest.approx(0, abs=1e-6)
    assert distance(one, nothing) == distance(nothing, nothing) == 1


def test_features_are_the_mean_of_all_cells() -> None:
    grid = np.zeros((3, 3, 2), np.float32)
    grid[0, 2] = 9, 18

    assert features(grid).tolist() == [1, 2]


def test_an_anchor_survives_the_wire() -> None:
    random = np.random.default_rng(0)
    near, far = (random.random(40).astype(np.float16) for _ in range(2))
    anchor = Anchor(shorter("A dog", "A dog runs", ball=0.8), (7, 8, 9, 2), near, far)
    read = Anchor.from_json(json.loads(json.dumps(anchor.to_json())))

    assert (read.caption, read.tokens) == (anchor.caption, anchor.tokens)
    assert np.array_equal(read.features, near)
    assert np.array_equal(read.origin, far)
