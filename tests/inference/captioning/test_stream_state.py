import json

import numpy as np
import pytest

from inference.captioning.stream_state import (
    NEW_CONTENT_GAIN,
    PARAPHRASE_GAIN,
    SCENE_CUT_DISTANCE,
    STILL_DISTANCE,
    StreamState,
    feature_distance,
    frame_features,
    should_replace_caption,
)
from tests.support.captions import shorter_fallback

OLD = "A dog runs through the grass"
PARAPHRASE = "The dog is running in grass"
NEW_CONTENT = "A dog catches a ball in the grass"


def test_a_scene_cut_replaces_any_caption() -> None:
    for new in (PARAPHRASE, NEW_CONTENT):
        assert should_replace_caption(new, OLD, gain=-2.0, distance=SCENE_CUT_DISTANCE)
        assert should_replace_caption(new, OLD, gain=-2.0, distance=0.6)


def test_on_a_still_scene_a_paraphrase_must_be_clearly_more_probable() -> None:
    assert not should_replace_caption(PARAPHRASE, OLD, gain=PARAPHRASE_GAIN - 0.01, distance=0)
    assert should_replace_caption(PARAPHRASE, OLD, gain=PARAPHRASE_GAIN + 0.01, distance=0)


def test_new_content_needs_a_smaller_gain_than_a_paraphrase() -> None:
    assert NEW_CONTENT_GAIN < PARAPHRASE_GAIN
    assert not should_replace_caption(NEW_CONTENT, OLD, gain=NEW_CONTENT_GAIN - 0.01, distance=0)
    assert should_replace_caption(NEW_CONTENT, OLD, gain=NEW_CONTENT_GAIN + 0.01, distance=0)


def test_the_required_gain_falls_with_the_distance() -> None:
    gain = NEW_CONTENT_GAIN / 2
    assert not should_replace_caption(NEW_CONTENT, OLD, gain, distance=STILL_DISTANCE)
    assert should_replace_caption(NEW_CONTENT, OLD, gain, distance=0.6 * SCENE_CUT_DISTANCE)


def test_a_less_probable_caption_replaces_only_at_a_scene_cut() -> None:
    assert not should_replace_caption(
        NEW_CONTENT, OLD, gain=-0.01, distance=0.99 * SCENE_CUT_DISTANCE
    )


def test_the_distance_ignores_scale_and_is_always_defined() -> None:
    one = frame_features(np.random.default_rng(0).random((9, 9, 40), np.float32))
    nothing = np.zeros_like(one)

    assert feature_distance(one, one) == pytest.approx(0, abs=1e-6)
    assert feature_distance(one, (2 * one).astype(np.float16)) == pytest.approx(0, abs=1e-6)
    assert feature_distance(one, nothing) == feature_distance(nothing, nothing) == 1


def test_features_are_the_mean_of_all_cells() -> None:
    grid = np.zeros((3, 3, 2), np.float32)
    grid[0, 2] = 9, 18

    assert frame_features(grid).tolist() == [1, 2]


def test_a_state_survives_its_json_form() -> None:
    random = np.random.default_rng(0)
    near, far = (random.random(40).astype(np.float16) for _ in range(2))
    state = StreamState(shorter_fallback("A dog", "A dog runs", ball=0.8), (7, 8, 9, 2), near, far)
    read = StreamState.from_json(json.loads(json.dumps(state.to_json())))

    assert (read.caption, read.tokens) == (state.caption, state.tokens)
    assert np.array_equal(read.features, near)
    assert np.array_equal(read.origin, far)
