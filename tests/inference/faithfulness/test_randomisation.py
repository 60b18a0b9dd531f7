import numpy as np
import pytest

from inference.captioning.model import CaptionModel
from inference.faithfulness.measurement import caption, object_maps
from inference.faithfulness.randomisation import (
    TRAINED,
    UNRELATED,
    KerasEncoded,
    correlation,
    parts,
    randomise,
    shuffle,
)
from models.checkpoint import DEFAULT
from tests.inference.conftest import photographs

METHODS = ["gradcam", "hirescam"]


@pytest.fixture(scope="module")
def model() -> KerasEncoded:
    """The shipped captioner; its weights are spoilt by the last test of this file."""
    return KerasEncoded(DEFAULT)


def test_every_weight_of_encoder_and_decoder_is_in_one_part(model: KerasEncoded) -> None:
    found = [id(weight) for _, weights in parts(model) for weight in weights]

    captioner = model.captioner
    assert len(found) == len(set(found))
    assert set(found) == {
        id(weight) for part in (captioner.decoder, captioner.encoder) for weight in part.weights
    }


def test_parts_come_from_the_words_down_to_the_pixels(model: KerasEncoded) -> None:
    names = [name for name, _ in parts(model)]

    assert names[:6] == ["output", "LSTM", "attention", "projection", "head", "block20"]
    assert names[-2:] == ["block0", "stem"]


def test_shuffling_keeps_the_values_and_not_their_places(model: KerasEncoded) -> None:
    weight = model.captioner.encoder.get_layer("stem").weights[0]
    before = weight.numpy()

    shuffle(weight, np.random.default_rng(0))

    assert not np.array_equal(weight.numpy(), before)
    np.testing.assert_array_equal(np.sort(weight.numpy(), axis=None), np.sort(before, axis=None))
    weight.assign(before)


def test_correlation_is_that_of_the_ranks() -> None:
    a, b = np.random.default_rng(0).uniform(size=(2, 81))
    ranks = np.argsort(np.argsort(np.stack([a, b])))

    assert correlation(a, b) == pytest.approx(np.corrcoef(*ranks.astype(float))[0, 1])
    assert correlation(a, a**3) == pytest.approx(1)
    assert correlation(a, -a) == pytest.approx(-1)
    assert correlation(a, np.zeros(81)) == 0


def test_the_encoder_is_that_of_the_service(model: KerasEncoded, shipped: CaptionModel) -> None:
    pictures = list(photographs(model.image_size)[:2])

    np.testing.assert_allclose(model.encode(pictures), shipped.encode(pictures), atol=2e-3)


def test_maps_change_when_the_weights_do(model: KerasEncoded) -> None:
    said = [caption(model, picture) for picture in photographs(model.image_size)[:3]]
    assert all(object_maps(model, each, "gradcam") for each in said)

    stages = list(randomise(model, said, METHODS))

    for method in METHODS:
        told = {stage[method].stage: np.mean(stage[method].correlations) for stage in stages}
        assert told.pop(TRAINED) == pytest.approx(1)
        assert told.pop(UNRELATED) < 0.7
        assert told["output"] < 0.8
        assert told["projection"] < 0.6
        assert max(list(told.values())[-10:]) < 0.5
