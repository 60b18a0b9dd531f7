"""Tests of what is trained: the decoder, and the encoder's end."""

from typing import Any

import keras
import numpy as np
import pytest

from models.training.learner import Inputs, Learner, split_encoder, tune_pointwise, use_precision
from tests.models.conftest import CHANNELS, MakeDecoder, random_grids


@pytest.fixture
def encoder() -> keras.Model:
    """Pixels [B, 8, 8, 3] to a grid [B, 4, 4, CHANNELS]."""
    pixels = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(6, 3, strides=2, padding="same", name="stem")(pixels)
    x = keras.layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = keras.layers.Conv2D(CHANNELS, 1, name="head")(x)
    return keras.Model(pixels, keras.layers.ReLU(name="head_relu")(x))


def inputs(features: Any, pooled: Any = None) -> Inputs:
    count = len(features)
    tokens = np.full((count, 2, 3), 5, np.int32)
    return Inputs(features, tokens, np.zeros((count, 1)) if pooled is None else pooled)


def test_parts_of_the_encoder_make_the_whole(encoder: keras.Model) -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)

    for cut in ("stem", "depthwise", "head"):
        stem, tail = split_encoder(encoder, cut)
        assert tail is not None
        np.testing.assert_allclose(tail(stem(pixels)), encoder(pixels), rtol=1e-5, atol=1e-5)
    assert split_encoder(encoder, "") == (encoder, None)


def test_cut_that_is_none_is_refused(encoder: keras.Model) -> None:
    with pytest.raises(ValueError, match="cannot be cut after 'block99'"):
        split_encoder(encoder, "block99")


def test_logits_are_the_decoders_on_the_rest_of_the_encoder(
    encoder: keras.Model, make_decoder: MakeDecoder
) -> None:
    decoder = make_decoder()
    stem, tail = split_encoder(encoder, "stem")
    pixels = np.random.default_rng(0).uniform(0, 1, (2, 8, 8, 3)).astype(np.float32)
    batch = inputs(np.asarray(stem(pixels)))

    logits = Learner(decoder, tail)(batch)

    np.testing.assert_allclose(logits, decoder((encoder(pixels), batch.tokens)), atol=1e-4)


@pytest.mark.parametrize("tuned", [True, False])
def test_only_convolutions_of_a_single_cell_are_tuned(
    encoder: keras.Model, make_decoder: MakeDecoder, tuned: bool
) -> None:
    decoder = make_decoder()
    tune_pointwise(encoder, tuned=tuned)

    learner = Learner(decoder, split_encoder(encoder, "stem")[1])
    learner(inputs(np.zeros((1, 4, 4, 6), np.float32)))

    trained = {id(variable) for variable in learner.trainable_variables}
    head = {id(variable) for variable in encoder.get_layer("head").weights}
    assert trained == {id(variable) for variable in decoder.trainable_variables} | (
        head if tuned else set()
    )


def test_changed_classes_cost_their_divergence_where_there_is_a_picture(
    encoder: keras.Model, make_decoder: MakeDecoder
) -> None:
    classifier = keras.layers.Dense(5, name="classifier")
    classifier.build((None, CHANNELS))
    _, tail = split_encoder(encoder, "stem")
    assert tail is not None
    learner = Learner(make_decoder(), tail, classifier, keep_classes=0.5)
    random = np.random.default_rng(0)
    features = random.normal(0, 3, (3, 4, 4, 6)).astype(np.float32)
    pooled = random.uniform(0, 3, (3, CHANNELS)).astype(np.float32)
    pooled[2] = 0  # A caption without a picture.

    learner(inputs(features, pooled))

    def probabilities(means: Any) -> Any:
        logits = means @ np.asarray(classifier.kernel) + np.asarray(classifier.bias)
        return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)

    before, now = probabilities(pooled), probabilities(np.asarray(tail(features)).mean((1, 2)))
    divergence = (before * np.log(before / now)).sum(axis=-1)
    assert float(learner.losses[0]) == pytest.approx(0.5 * divergence[:2].mean(), rel=1e-4)


def test_unchanged_classes_cost_nothing(encoder: keras.Model, make_decoder: MakeDecoder) -> None:
    classifier = keras.layers.Dense(5, name="classifier")
    classifier.build((None, CHANNELS))
    _, tail = split_encoder(encoder, "stem")
    assert tail is not None
    features = np.random.default_rng(0).normal(0, 3, (3, 4, 4, 6)).astype(np.float32)
    learner = Learner(make_decoder(), tail, classifier, keep_classes=1.0)

    learner(inputs(features, np.asarray(tail(features)).mean((1, 2))))

    assert float(learner.losses[0]) == pytest.approx(0, abs=1e-5)
    with pytest.raises(ValueError, match="keep_classes is for a cut encoder"):
        Learner(make_decoder(), None, classifier, keep_classes=1.0)


def test_half_precision_products_say_nearly_the_same(make_decoder: MakeDecoder) -> None:
    grids = random_grids(2)
    whole = np.asarray(Learner(make_decoder())(inputs(grids)))
    learner = Learner(make_decoder())
    use_precision(learner, "mixed_bfloat16")

    half = np.asarray(learner(inputs(grids)))

    assert half.dtype == np.float32
    assert 0 < np.abs(half - whole).max() < 0.05 * np.abs(whole).max()
