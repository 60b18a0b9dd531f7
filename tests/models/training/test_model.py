"""Tests of the parts of training."""

import contextlib
from pathlib import Path

import keras
import numpy as np
import pytest

from models.captioner.beam_search import BeamConfig, beam_search
from models.captioner.decoder import Decoder
from models.datasets import Example
from models.language.vocabulary import END, PAD, Vocabulary, tokenize
from models.training.batches import Batches, TrainingSet, targets
from models.training.config import TrainingConfig
from models.training.learner import Learner
from models.training.optimization import CaptionLoss, Checkpoint, MovingAverage, SlowerFor
from tests.models.conftest import WORDS, MakeDecoder, random_grids

# --- Loss


def test_loss_is_the_smoothed_cross_entropy_per_word() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (2, 3, 4, 9)).astype(np.float32)
    words = random.integers(4, 9, (2, 3, 4))
    words[0, 0, 2:] = PAD
    words[1, 2, 1:] = PAD

    weights = np.array([[1, 0.5, 2], [1, -1, 3]], np.float32)
    wanted = targets(words.astype(np.int32), weights)

    loss = float(CaptionLoss(smoothing=0.1)(wanted, logits))

    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    smooth = 0.9 * np.eye(9)[words] + 0.1 / 9
    per_word = -(smooth * log_probs).sum(axis=-1) * (words != PAD)
    assert (words != PAD).sum() == 19
    assert loss == pytest.approx((per_word * weights[..., None]).sum() / 19, rel=1e-5)


def test_loss_without_smoothing_of_a_sure_and_right_guess_is_nothing() -> None:
    words = np.array([[[4, END, PAD]]], np.int32)
    logits = 100 * np.eye(6, dtype=np.float32)[words]
    wanted = targets(words, np.ones((1, 1), np.float32))

    assert float(CaptionLoss(0)(wanted, logits)) == pytest.approx(0, abs=1e-6)
    assert float(CaptionLoss(0)(wanted, -logits)) == pytest.approx(100 + np.log(5), rel=1e-4)


# --- Moving average


def test_average_follows_the_weights_and_does_not_cling_to_the_first() -> None:
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
    assert model.get_weights()[0].item() == 1.0, "the model's own weights are left alone"


def test_average_is_swapped_in_for_a_while() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.array([[3.0]])])
    average = MovingAverage(momentum=0.5)
    average.set_model(model)
    average.weights = [np.array([[7.0]], np.float32)]

    with contextlib.suppress(ZeroDivisionError), average.swapped_in():
        assert model.get_weights()[0].item() == 7
        raise ZeroDivisionError

    assert model.get_weights()[0].item() == 3


# --- Optimizer


def test_slow_variables_go_slower_and_do_not_decay() -> None:
    fast, slow = keras.Variable([1.0], name="fast"), keras.Variable([1.0], name="slow")
    optimizer = SlowerFor([slow], 0.25, learning_rate=0.1, weight_decay=0.5)

    optimizer.apply([np.array([1.0]), np.array([1.0])], [fast, slow])

    # Adam's first step is the learning rate, whatever the gradient; decay is 0.1 x 0.5 of it.
    assert float(slow[0]) == pytest.approx(1 - 0.25 * 0.1, abs=1e-5)
    assert float(fast[0]) == pytest.approx(1 - 0.1 * 0.5 - 0.1, abs=1e-5)


# --- Learning, and going on with it

CAPTIONS = ("a dog runs", "a red ball on grass", "grass", "a dog's red ball")


def compiled(decoder: Decoder) -> Learner:
    learner = Learner(decoder)
    optimizer = SlowerFor([], 1.0, learning_rate=0.02, weight_decay=0.004, global_clipnorm=5.0)
    learner.compile(optimizer, CaptionLoss(0.0), jit_compile=False)
    learner(captioned_batches()[0][0])
    return learner


def captioned_batches() -> Batches:
    examples = [Example(f"{i}.jpg", "train", (text,)) for i, text in enumerate(CAPTIONS)]
    config = TrainingConfig(name="small", batch=2, captions=1, length=6)
    grids = random_grids(4).astype(np.float16)[:, None]
    return Batches(TrainingSet(examples, grids, None, ()), Vocabulary(WORDS), config)


def fit(learner: Learner, average: MovingAverage, epochs: range) -> None:
    batches = captioned_batches()
    for epoch in epochs:
        batches.begin(epoch)
        learner.fit(batches, shuffle=False, callbacks=[average], verbose=0)


def test_decoder_learns_which_picture_has_which_caption(make_decoder: MakeDecoder) -> None:
    decoder = make_decoder()

    compiled(decoder).fit(captioned_batches(), epochs=40, shuffle=False, verbose=0)

    found = beam_search(decoder, random_grids(4), BeamConfig(2, max_length=6))
    said = [Vocabulary(WORDS).decode(ids) for ids in np.asarray(found.tokens).tolist()]
    assert said == [tokenize(caption) for caption in CAPTIONS]


def test_run_that_was_stopped_goes_on_as_if_it_had_not_been(
    make_decoder: MakeDecoder, tmp_path: Path
) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.npz")
    history = [{"loss": 3.0, "cider": 0.1}, {"loss": 2.0, "cider": 0.25}]
    whole, whole_average = compiled(make_decoder(0)), MovingAverage(0.9)
    fit(whole, whole_average, range(2))
    checkpoint.save(whole, whole_average, history)
    fit(whole, whole_average, range(2, 4))

    resumed, average = compiled(make_decoder(1)), MovingAverage(0.9)
    assert checkpoint.restore(resumed, average) == history
    assert average.batches == 4
    fit(resumed, average, range(2, 4))

    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    for a, b in zip(whole_average.weights, average.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert int(resumed.optimizer.iterations) == 8
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_run_that_never_was_starts_from_nothing(make_decoder: MakeDecoder, tmp_path: Path) -> None:
    learner, average = compiled(make_decoder()), MovingAverage(0.9)
    before = learner.get_weights()

    assert Checkpoint(tmp_path / "checkpoint.npz").restore(learner, average) == []

    for a, b in zip(before, learner.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert average.weights == []
