import keras
import numpy as np
import pytest

from models.captioner.beam_search import BeamConfig, beam_search
from models.captioner.captioner import Captioner
from models.captioner.teacher_forcing import tell
from models.language.vocabulary import END, PAD

CONFIG = BeamConfig(width=3, max_length=7, alternatives=3, temperature=1.3)


@pytest.fixture(scope="module")
def grids(captioner: Captioner) -> keras.KerasTensor:
    shape = (4, *captioner.encoder.output_shape[1:])
    grid = np.random.default_rng(0).uniform(0, 2, shape).astype(np.float32)
    return keras.ops.convert_to_tensor(grid)


def test_what_a_search_found_is_told_as_the_search_told_it(
    captioner: Captioner, grids: keras.KerasTensor
) -> None:
    found = beam_search(captioner.decoder, grids, CONFIG)
    told = tell(captioner.decoder, grids, found.tokens, CONFIG)

    said = np.asarray(found.tokens) != PAD
    assert np.array_equal(told.tokens, found.tokens)
    for name in ("log_probs", "search_log_probs"):
        expected, given = (np.asarray(getattr(each, name)) for each in (found, told))
        np.testing.assert_allclose(given, expected, atol=1e-4)
    for name in ("alternative_tokens", "alternative_log_probs", "hidden"):
        expected, given = (np.asarray(getattr(each, name))[said] for each in (found, told))
        np.testing.assert_allclose(given, expected, atol=1e-4)
    np.testing.assert_allclose(told.scores[:, 0], found.scores[:, 0], atol=1e-4)


def test_another_caption_is_less_likely_and_padding_costs_nothing(
    captioner: Captioner, grids: keras.KerasTensor
) -> None:
    found = beam_search(captioner.decoder, grids, CONFIG)
    tokens = np.full((4, 7), PAD, np.int32)
    tokens[:, :3] = 9, 8, END
    told = tell(captioner.decoder, grids, keras.ops.convert_to_tensor(tokens), CONFIG)

    assert np.all(np.asarray(told.scores)[:, 0] < np.asarray(found.scores)[:, 0])
    assert np.all(np.asarray(told.log_probs)[:, 3:] == 0)
    assert np.all(np.asarray(told.log_probs)[:, :3] < 0)
