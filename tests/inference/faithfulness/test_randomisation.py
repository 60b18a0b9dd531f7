import numpy as np
import pytest

from inference.captioners.lstm import LstmCaptionModel
from inference.captioners.lstm.variable_weights import VariableLstmCaptionModel
from inference.explanations.methods import METHODS
from inference.faithfulness.measurement import caption_image, object_maps
from inference.faithfulness.randomisation import (
    TRAINED,
    UNRELATED,
    randomise,
    shuffle_weights,
)
from models.catalogue import SHIPPED_FOLDER
from tests.inference.conftest import photographs

CHOSEN = {name: METHODS[name] for name in ("gradcam", "hirescam")}


@pytest.fixture(scope="module")
def model() -> VariableLstmCaptionModel:
    """The shipped captioner; the last test of this module randomises its weights."""
    return VariableLstmCaptionModel(SHIPPED_FOLDER)


def test_every_weight_is_in_one_stage(model: VariableLstmCaptionModel) -> None:
    found = [id(weight) for _, weights in model.weight_stages() for weight in weights]

    captioner = model.captioner
    assert len(found) == len(set(found))
    assert set(found) == {
        id(weight) for part in (captioner.decoder, captioner.encoder) for weight in part.weights
    }


def test_stages_go_from_the_words_down_to_the_pixels(model: VariableLstmCaptionModel) -> None:
    names = [name for name, _ in model.weight_stages()]

    assert names[:6] == ["output", "LSTM", "attention", "projection", "head", "block20"]
    assert names[-2:] == ["block0", "stem"]


def test_shuffling_keeps_the_values_in_another_order(model: VariableLstmCaptionModel) -> None:
    weight = model.captioner.encoder.get_layer("stem").weights[0]
    before = weight.numpy()

    shuffle_weights(weight, np.random.default_rng(0))

    assert not np.array_equal(weight.numpy(), before)
    np.testing.assert_array_equal(np.sort(weight.numpy(), axis=None), np.sort(before, axis=None))
    weight.assign(before)


def test_keras_encoder_matches_the_converted_one(
    model: VariableLstmCaptionModel, shipped: LstmCaptionModel
) -> None:
    images = list(photographs(model.image_size)[:2])

    np.testing.assert_allclose(model.encode(images), shipped.encode(images), atol=2e-3)


def test_maps_change_with_the_weights(model: VariableLstmCaptionModel) -> None:
    samples = [caption_image(model, image) for image in photographs(model.image_size)[:3]]
    assert all(object_maps(model, each, METHODS["gradcam"]) for each in samples)

    stages = list(randomise(model, samples, CHOSEN))

    for method in CHOSEN:
        means = {stage[method].stage: np.mean(stage[method].correlations) for stage in stages}
        assert means.pop(TRAINED) == pytest.approx(1)
        assert means.pop(UNRELATED) < 0.7
        assert means["output"] < 0.8
        assert means["projection"] < 0.6
        assert max(list(means.values())[-10:]) < 0.5
