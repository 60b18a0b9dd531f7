"""Tests of teacher forcing against beam search."""

import keras
import numpy as np
import pytest

from models.captioner.beam_search import BeamConfig, beam_search
from models.captioner.captioner import Captioner
from models.captioner.teacher_forcing import teacher_forced_captions
from models.language import END, PAD

CONFIG = BeamConfig(width=3, max_length=7, alternatives=3, temperature=1.3)


@pytest.fixture(scope="module")
def grids(captioner: Captioner) -> keras.KerasTensor:
    shape = (4, *captioner.encoder.output_shape[1:])
    grid = np.random.default_rng(0).uniform(0, 2, shape).astype(np.float32)
    return keras.ops.convert_to_tensor(grid)


def test_found_caption_has_the_values_of_the_search(
    captioner: Captioner, grids: keras.KerasTensor
) -> None:
    found = beam_search(captioner.decoder, grids, CONFIG)
    forced = teacher_forced_captions(captioner.decoder, grids, found.tokens, CONFIG)

    is_word = np.asarray(found.tokens) != PAD
    assert np.array_equal(forced.tokens, found.tokens)
    for name in ("log_probs", "search_log_probs"):
        expected, given = (np.asarray(getattr(each, name)) for each in (found, forced))
        np.testing.assert_allclose(given, expected, atol=1e-4)
    for name in ("alternative_tokens", "alternative_log_probs", "hidden"):
        expected, given = (np.asarray(getattr(each, name))[is_word] for each in (found, forced))
        np.testing.assert_allclose(given, expected, atol=1e-4)
    np.testing.assert_allclose(forced.scores[:, 0], found.scores[:, 0], atol=1e-4)


def test_another_caption_scores_lower_and_padding_costs_nothing(
    captioner: Captioner, grids: keras.KerasTensor
) -> None:
    found = beam_search(captioner.decoder, grids, CONFIG)
    tokens = np.full((4, 7), PAD, np.int32)
    tokens[:, :3] = 9, 8, END
    forced = teacher_forced_captions(
        captioner.decoder, grids, keras.ops.convert_to_tensor(tokens), CONFIG
    )

    assert np.all(np.asarray(forced.scores)[:, 0] < np.asarray(found.scores)[:, 0])
    assert np.all(np.asarray(forced.log_probs)[:, 3:] == 0)
    assert np.all(np.asarray(forced.log_probs)[:, :3] < 0)
