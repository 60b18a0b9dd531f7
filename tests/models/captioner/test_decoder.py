"""Tests of the decoder."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from models.captioner.decoder import Decoder
from models.language import START
from tests.models.conftest import CHANNELS, SMALL, WORDS, MakeDecoder, random_grids
from tests.support.oracle.numpy_decoder import NumpyDecoder


def random_words(*shape: int) -> NDArray[np.int64]:
    return np.random.default_rng(7).integers(4, len(WORDS), shape)


def test_steps_equal_a_plain_implementation(make_decoder: MakeDecoder) -> None:
    decoder, grids, words = make_decoder(), random_grids(2), random_words(2, 3, 5)
    memory = decoder.build_memory(grids)
    state = decoder.initial_state(memory, 3)
    plain = [NumpyDecoder(decoder, grid) for grid in grids]
    plain_states = [[each.start()] * 3 for each in plain]

    for position in range(5):
        step = decoder.step(words[..., position], state, memory)
        state = step.state
        for image in range(2):
            for caption in range(3):
                logits, attention, after = plain[image].step(
                    words[image, caption, position], plain_states[image][caption]
                )
                plain_states[image][caption] = after
                at = (image, caption)
                np.testing.assert_allclose(np.asarray(step.logits)[at], logits, atol=1e-3)
                np.testing.assert_allclose(np.asarray(step.attention)[at], attention, atol=1e-4)
                for part, plain_part in zip(state, after, strict=True):
                    np.testing.assert_allclose(np.asarray(part)[at], plain_part, atol=1e-4)


def test_teacher_forcing_equals_single_steps(make_decoder: MakeDecoder) -> None:
    decoder, grids, words = make_decoder(), random_grids(2), random_words(2, 3, 5)

    at_once = np.asarray(decoder((grids, words)))

    memory = decoder.build_memory(grids)
    state = decoder.initial_state(memory, 3)
    before = np.full((2, 3), START)
    for position in range(5):
        step = decoder.step(before, state, memory)
        np.testing.assert_allclose(at_once[:, :, position], step.logits, atol=1e-4)
        before, state = words[..., position], step.state


def test_logits_do_not_depend_on_later_words(make_decoder: MakeDecoder) -> None:
    decoder, grids, words = make_decoder(), random_grids(1), random_words(1, 1, 5)
    others = words.copy()
    others[..., 2:] = (others[..., 2:] - 3) % 8 + 4

    first, second = (np.asarray(decoder((grids, w)))[0, 0] for w in (words, others))

    np.testing.assert_allclose(first[:3], second[:3], atol=1e-6)
    assert np.abs(first[3] - second[3]).max() > 1e-2


def test_attention_of_each_head_sums_to_one(make_decoder: MakeDecoder) -> None:
    decoder = make_decoder()
    memory = decoder.build_memory(random_grids(2))

    attention = np.asarray(
        decoder.step(random_words(2, 3), decoder.initial_state(memory, 3), memory).attention
    )

    assert attention.shape == (2, 3, 2, 6)
    assert attention.min() >= 0
    np.testing.assert_allclose(attention.sum(axis=-1), 1, atol=1e-5)
    assert np.ptp(attention, axis=-1).min() > 1e-3, "no head may attend to all cells equally"


@pytest.mark.parametrize("dropout", ["embedding_dropout", "grid_dropout", "output_dropout"])
def test_dropout_acts_only_in_training(make_decoder: MakeDecoder, dropout: str) -> None:
    decoder, inputs = make_decoder(**{dropout: 0.5}), (random_grids(1), random_words(1, 2, 3))

    used = [np.asarray(decoder(inputs)) for _ in range(2)]
    trained = [np.asarray(decoder(inputs, training=True)) for _ in range(2)]

    np.testing.assert_array_equal(used[0], used[1])
    assert np.abs(trained[0] - used[0]).max() > 1e-3
    assert np.abs(trained[0] - trained[1]).max() > 1e-3


def test_without_dropout_training_changes_nothing(make_decoder: MakeDecoder) -> None:
    decoder, inputs = make_decoder(), (random_grids(1), random_words(1, 2, 3))

    np.testing.assert_array_equal(decoder(inputs), decoder(inputs, training=True))


def test_gradients_reach_every_weight_and_the_grid(make_decoder: MakeDecoder) -> None:
    decoder, grids = make_decoder(), tf.constant(random_grids(1))

    with tf.GradientTape() as tape:
        tape.watch(grids)
        loss = tf.reduce_mean(tf.nn.log_softmax(decoder((grids, random_words(1, 2, 4))))[..., 5])
    weights = {weight.path: weight.value for weight in decoder.trainable_weights}
    gradients = tape.gradient(loss, {**weights, "grid": grids})

    assert len(weights) == len(decoder.weights) == 17
    for name, gradient in gradients.items():
        assert gradient is not None, name
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, name


def test_build_for_creates_every_weight_that_a_call_needs() -> None:
    decoder = Decoder(SMALL)
    decoder.build_for(CHANNELS)
    built = [(weight.path, weight.shape) for weight in decoder.weights]

    logits = decoder((random_grids(2), random_words(2, 1, 3)))

    assert logits.shape == (2, 1, 3, len(WORDS))
    assert [(weight.path, weight.shape) for weight in decoder.weights] == built


@pytest.mark.parametrize(("width", "heads"), [(32, 3), (32, 0), (0, 2)])
def test_width_that_is_not_divisible_by_heads_is_refused(width: int, heads: int) -> None:
    with pytest.raises(ValueError, match=f"width {width} is not divisible by {heads} heads"):
        replace(SMALL, width=width, heads=heads)
