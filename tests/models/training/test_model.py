"""Tests of the trained model, its loss, optimizer, weight average and saved state."""

import contextlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.captioner.beam_search import BeamConfig, beam_search
from models.captioner.decoder import Decoder
from models.datasets import Example
from models.language import END, PAD, Vocabulary, tokenize
from models.training.config import TrainingConfig
from models.training.data import Batches, TrainingSet, targets
from models.training.model import (
    CaptionLoss,
    Inputs,
    MovingAverage,
    TrainingModel,
    TrainingState,
    TwoRateAdamW,
    set_pointwise_trainable,
    set_precision,
    split_encoder,
)
from tests.models.conftest import CHANNELS, WORDS, MakeDecoder, random_grids

CAPTIONS = ("a dog runs", "a red ball on grass", "grass", "a dog's red ball")


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


def test_parts_of_the_encoder_compose_to_the_whole(encoder: keras.Model) -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)

    for cut in ("stem", "depthwise", "head"):
        stem, tail = split_encoder(encoder, cut)
        assert tail is not None
        np.testing.assert_allclose(tail(stem(pixels)), encoder(pixels), rtol=1e-5, atol=1e-5)
    assert split_encoder(encoder, "") == (encoder, None)


def test_unknown_cut_is_refused(encoder: keras.Model) -> None:
    with pytest.raises(ValueError, match="cannot be cut after 'block99'"):
        split_encoder(encoder, "block99")


def test_logits_are_those_of_the_decoder_on_the_whole_encoder(
    encoder: keras.Model, make_decoder: MakeDecoder
) -> None:
    decoder = make_decoder()
    stem, tail = split_encoder(encoder, "stem")
    pixels = np.random.default_rng(0).uniform(0, 1, (2, 8, 8, 3)).astype(np.float32)
    batch = inputs(np.asarray(stem(pixels)))

    logits = TrainingModel(decoder, tail)(batch)

    np.testing.assert_allclose(logits, decoder((encoder(pixels), batch.tokens)), atol=1e-4)


@pytest.mark.parametrize("trainable", [True, False])
def test_only_pointwise_convolutions_are_trainable(
    encoder: keras.Model, make_decoder: MakeDecoder, trainable: bool
) -> None:
    decoder = make_decoder()
    set_pointwise_trainable(encoder, trainable=trainable)

    model = TrainingModel(decoder, split_encoder(encoder, "stem")[1])
    model(inputs(np.zeros((1, 4, 4, 6), np.float32)))

    trained = {id(variable) for variable in model.trainable_variables}
    head = {id(variable) for variable in encoder.get_layer("head").weights}
    assert trained == {id(variable) for variable in decoder.trainable_variables} | (
        head if trainable else set()
    )


def test_loss_of_changed_classes_is_their_divergence_over_images(
    encoder: keras.Model, make_decoder: MakeDecoder
) -> None:
    classifier = keras.layers.Dense(5, name="classifier")
    classifier.build((None, CHANNELS))
    _, tail = split_encoder(encoder, "stem")
    assert tail is not None
    model = TrainingModel(make_decoder(), tail, classifier, keep_classes=0.5)
    random = np.random.default_rng(0)
    features = random.normal(0, 3, (3, 4, 4, 6)).astype(np.float32)
    pooled = random.uniform(0, 3, (3, CHANNELS)).astype(np.float32)
    pooled[2] = 0  # A caption without an image.

    model(inputs(features, pooled))

    def probabilities(means: Any) -> Any:
        logits = means @ np.asarray(classifier.kernel) + np.asarray(classifier.bias)
        return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)

    before, now = probabilities(pooled), probabilities(np.asarray(tail(features)).mean((1, 2)))
    divergence = (before * np.log(before / now)).sum(axis=-1)
    assert float(model.losses[0]) == pytest.approx(0.5 * divergence[:2].mean(), rel=1e-4)


def test_unchanged_classes_have_no_loss(encoder: keras.Model, make_decoder: MakeDecoder) -> None:
    classifier = keras.layers.Dense(5, name="classifier")
    classifier.build((None, CHANNELS))
    _, tail = split_encoder(encoder, "stem")
    assert tail is not None
    features = np.random.default_rng(0).normal(0, 3, (3, 4, 4, 6)).astype(np.float32)
    model = TrainingModel(make_decoder(), tail, classifier, keep_classes=1.0)

    model(inputs(features, np.asarray(tail(features)).mean((1, 2))))

    assert float(model.losses[0]) == pytest.approx(0, abs=1e-5)
    with pytest.raises(ValueError, match="keep_classes needs cut and classes"):
        TrainingModel(make_decoder(), None, classifier, keep_classes=1.0)


def test_half_precision_products_are_close(make_decoder: MakeDecoder) -> None:
    grids = random_grids(2)
    whole = np.asarray(TrainingModel(make_decoder())(inputs(grids)))
    model = TrainingModel(make_decoder())
    set_precision(model, "mixed_bfloat16")

    half = np.asarray(model(inputs(grids)))

    assert half.dtype == np.float32
    assert 0 < np.abs(half - whole).max() < 0.05 * np.abs(whole).max()


def test_loss_is_the_smoothed_cross_entropy_per_word() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (2, 3, 4, 9)).astype(np.float32)
    words = random.integers(4, 9, (2, 3, 4))
    words[0, 0, 2:] = PAD
    words[1, 2, 1:] = PAD

    weights = np.array([[1, 0.5, 2], [1, -1, 3]], np.float32)
    target_values = targets(words.astype(np.int32), weights)

    loss = float(CaptionLoss(smoothing=0.1)(target_values, logits))

    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    smooth = 0.9 * np.eye(9)[words] + 0.1 / 9
    per_word = -(smooth * log_probs).sum(axis=-1) * (words != PAD)
    assert (words != PAD).sum() == 19
    assert loss == pytest.approx((per_word * weights[..., None]).sum() / 19, rel=1e-5)


def test_loss_without_smoothing_of_a_certain_right_prediction_is_zero() -> None:
    words = np.array([[[4, END, PAD]]], np.int32)
    logits = 100 * np.eye(6, dtype=np.float32)[words]
    target_values = targets(words, np.ones((1, 1), np.float32))

    assert float(CaptionLoss(0)(target_values, logits)) == pytest.approx(0, abs=1e-6)
    assert float(CaptionLoss(0)(target_values, -logits)) == pytest.approx(100 + np.log(5), rel=1e-4)


def test_average_follows_the_weights_and_not_only_the_first() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    average = MovingAverage(momentum=0.2)
    average.set_model(model)
    expected = 8.0
    for batch, value in enumerate([8.0, 4.0, -2.0, 6.0, 1.0], start=1):
        model.set_weights([np.array([[value]])])
        average.on_train_batch_end(batch)
        momentum = min(0.2, batch / (batch + 10))
        expected = momentum * expected + (1 - momentum) * value
        assert average.weights[0].item() == pytest.approx(expected)

    assert average.batches == 5
    assert model.get_weights()[0].item() == 1.0, "the model's own weights are not changed"


def test_average_is_swapped_in_and_out() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.array([[3.0]])])
    average = MovingAverage(momentum=0.5)
    average.set_model(model)
    average.weights = [np.array([[7.0]], np.float32)]

    with contextlib.suppress(ZeroDivisionError), average.swapped_in():
        assert model.get_weights()[0].item() == 7
        raise ZeroDivisionError

    assert model.get_weights()[0].item() == 3


def test_slow_variables_have_a_lower_rate_and_no_decay() -> None:
    fast, slow = keras.Variable([1.0], name="fast"), keras.Variable([1.0], name="slow")
    optimizer = TwoRateAdamW([slow], 0.25, learning_rate=0.1, weight_decay=0.5)

    optimizer.apply([np.array([1.0]), np.array([1.0])], [fast, slow])

    # Adam's first step equals the learning rate for any gradient; decay is 0.1 x 0.5.
    assert float(slow[0]) == pytest.approx(1 - 0.25 * 0.1, abs=1e-5)
    assert float(fast[0]) == pytest.approx(1 - 0.1 * 0.5 - 0.1, abs=1e-5)


def compiled(decoder: Decoder) -> TrainingModel:
    model = TrainingModel(decoder)
    optimizer = TwoRateAdamW([], 1.0, learning_rate=0.02, weight_decay=0.004, global_clipnorm=5.0)
    model.compile(optimizer, CaptionLoss(0.0), jit_compile=False)
    model.create_variables(captioned_batches()[0][0])
    return model


def captioned_batches() -> Batches:
    examples = [Example(f"{i}.jpg", "train", (text,)) for i, text in enumerate(CAPTIONS)]
    config = TrainingConfig(name="small", batch=2, captions=1, length=6)
    grids = random_grids(4).astype(np.float16)[:, None]
    return Batches(TrainingSet(examples, grids, None, ()), Vocabulary(WORDS), config)


def fit(model: TrainingModel, average: MovingAverage, epochs: range) -> None:
    batches = captioned_batches()
    for epoch in epochs:
        batches.start_epoch(epoch)
        model.fit(batches, shuffle=False, callbacks=[average], verbose=0)


def test_decoder_learns_the_caption_of_each_image(make_decoder: MakeDecoder) -> None:
    decoder = make_decoder()

    compiled(decoder).fit(captioned_batches(), epochs=40, shuffle=False, verbose=0)

    found = beam_search(decoder, random_grids(4), BeamConfig(2, max_length=6))
    captions = [Vocabulary(WORDS).decode(ids) for ids in np.asarray(found.tokens).tolist()]
    assert captions == [tokenize(caption) for caption in CAPTIONS]


def test_resumed_run_equals_an_uninterrupted_one(make_decoder: MakeDecoder, tmp_path: Path) -> None:
    state = TrainingState(tmp_path / "state.npz")
    history = [{"loss": 3.0, "cider": 0.1}, {"loss": 2.0, "cider": 0.25}]
    whole, whole_average = compiled(make_decoder(0)), MovingAverage(0.9)
    fit(whole, whole_average, range(2))
    state.save(whole, whole_average, history)
    fit(whole, whole_average, range(2, 4))

    resumed, average = compiled(make_decoder(1)), MovingAverage(0.9)
    assert state.restore(resumed, average) == history
    assert average.batches == 4
    fit(resumed, average, range(2, 4))

    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    for a, b in zip(whole_average.weights, average.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert int(resumed.optimizer.iterations) == 8
    assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]


def test_state_without_a_file_changes_nothing(make_decoder: MakeDecoder, tmp_path: Path) -> None:
    model, average = compiled(make_decoder()), MovingAverage(0.9)
    before = model.get_weights()

    assert TrainingState(tmp_path / "state.npz").restore(model, average) == []

    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert average.weights == []
