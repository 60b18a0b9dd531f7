"""Tests of BLIP's networks against stored outputs of `transformers`.

`tests/support/blip/make_checkpoints.py` made them.
"""

from functools import cache
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from models.blip import Blip, TeacherForced, load_blip
from tests.support.blip import CHECKPOINTS, folder, make_images, make_photo, stored


@cache
def load(name: str) -> Blip:
    return load_blip(folder(name))


def attention_of(forced: TeacherForced) -> list[Any]:
    return [read.weights for read in forced.reads]


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_image_tokens_equal_those_of_transformers(name: str) -> None:
    blip = load(name)
    vision = blip.config.vision_config
    images = make_images(vision.image_size)[:2].astype(np.float32)

    tokens = np.asarray(blip.encoder(images))

    assert blip.encoder.output_shape == (None, 1 + vision.side**2, vision.hidden_size)
    np.testing.assert_allclose(tokens, stored(name)["image_tokens"], atol=1e-5)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_logits_equal_those_of_transformers(name: str) -> None:
    decoder, expected = load(name).decoder, stored(name)
    memory = decoder.build_memory(expected["image_tokens"])

    for own_gradient in (True, False):
        forced = decoder.teacher_force(expected["tokens"], memory, own_gradient=own_gradient)
        logits = np.asarray(decoder.logits(forced.hidden))
        np.testing.assert_allclose(logits, expected["logits"], atol=1e-4)

    chosen = np.take_along_axis(expected["logits"], expected["tokens"][..., None], axis=-1)
    got = decoder.token_logits(forced.hidden, expected["tokens"])
    np.testing.assert_allclose(got, chosen[..., 0], atol=1e-4)


@pytest.mark.parametrize("name", ["plain", "untied"])
def test_steps_with_a_cache_equal_teacher_forcing(name: str) -> None:
    decoder, expected = load(name).decoder, stored(name)
    memory = decoder.build_memory(expected["image_tokens"])
    # Two captions of each image, the second reversed.
    captions = np.stack([expected["tokens"], expected["tokens"][:, ::-1]], axis=1)
    cache = decoder.empty_cache(memory, 2, 12)
    token = np.full((2, 2), decoder.config.bos_token_id, np.int32)
    hidden = []
    for position in range(captions.shape[-1]):
        step, cache = decoder.step(token, position, cache, memory)
        hidden.append(np.asarray(step))
        token = captions[..., position]

    for index in range(2):
        forced = decoder.teacher_force(captions[:, index], memory)
        got = np.stack(hidden, axis=2)[:, index]
        np.testing.assert_allclose(got, forced.hidden, atol=1e-5)


def test_prompt_is_read_before_the_caption() -> None:
    decoder, expected = load("plain").decoder, stored("plain")
    memory = decoder.build_memory(expected["image_tokens"])
    tokens = expected["tokens"][:1]
    prompt = tuple(int(token) for token in tokens[0, :3])
    one = tuple(type(each)(each.keys[:1], each.values[:1]) for each in memory)

    whole = decoder.teacher_force(tokens, one)
    rest = decoder.teacher_force(tokens[:, 3:], one, prompt=prompt)

    np.testing.assert_allclose(rest.hidden, whole.hidden[:, 3:], atol=1e-5)
    for got, read in zip(rest.reads, whole.reads, strict=True):
        np.testing.assert_allclose(got.weights[:, :, 3:], read.weights[:, :, 3:], atol=1e-6)


def test_one_backward_pass_gives_the_gradient_of_every_token() -> None:
    decoder, expected = load("deep").decoder, stored("deep")
    image_tokens, tokens = tf.constant(expected["image_tokens"]), expected["tokens"]

    with tf.GradientTape() as tape:
        tape.watch(image_tokens)
        forced = decoder.teacher_force(
            tokens, decoder.build_memory(image_tokens), own_gradient=True
        )
        total = tf.reduce_sum(decoder.token_logits(forced.hidden, tokens))
    at_once = [np.asarray(each) for each in tape.gradient(total, attention_of(forced))]

    with tf.GradientTape(persistent=True) as tape:
        tape.watch(image_tokens)
        forced = decoder.teacher_force(tokens, decoder.build_memory(image_tokens))
        logits = decoder.token_logits(forced.hidden, tokens)
        terms = [logits[:, position] for position in range(tokens.shape[1])]
    for position, term in enumerate(terms):
        one_by_one = tape.gradient(term, attention_of(forced))
        for got, gradient in zip(at_once, one_by_one, strict=True):
            row = np.asarray(gradient)[:, :, position]
            np.testing.assert_allclose(got[:, :, position], row, atol=1e-4 * np.ptp(row))
    # Without it a token's row also has what later tokens owe to it.
    total_gradient = tape.gradient(terms, attention_of(forced))
    assert np.abs(total_gradient[0] - at_once[0]).max() > 1e-2 * np.ptp(at_once[0])


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_images_are_prepared_as_by_transformers(name: str) -> None:
    blip = load(name)

    image = blip.image.resizing.apply(make_photo())

    side = blip.config.vision_config.image_size
    assert image.shape == (side, side, 3)
    assert image.dtype == np.uint8
    normalized = blip.encoder.get_layer("normalize")(image[None].astype(np.float32))[0]
    np.testing.assert_allclose(normalized, stored(name)["photo"], atol=1e-6)
