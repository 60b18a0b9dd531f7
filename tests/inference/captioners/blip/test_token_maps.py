"""Tests of BLIP's maps and gradients against separate backward passes in PyTorch.

`tests/support/blip/make_maps.py` computed the stored values with the published implementation. The
functions run here as they are; `test_model.py` runs the compiled graphs.
"""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from inference.captioners.blip.graphs import caption_logits, gradient, objective
from inference.captioners.blip.token_maps import TokenMaps, attention_weights, token_maps
from models.blip import load_blip
from tests.support.blip import FIRST, MAPPED, PLACE, RAISED, folder, stored, stored_maps

Tokens = NDArray[np.int32]


class Case:
    """A checkpoint, an image's encoding, a caption of it, and what PyTorch computed."""

    def __init__(self, name: str) -> None:
        self.decoder = load_blip(folder(name)).decoder
        self.expected = stored_maps(name)
        self.encodings = tf.constant(stored(name)["image_tokens"][:1])
        self.memory = self.decoder.build_memory(self.encodings)
        self.tokens = stored(name)["tokens"][:1]
        self.none = np.zeros_like(self.tokens)
        self.layers = range(len(self.decoder.blocks))

    def maps(self, plus: Tokens, minus: Tokens, layer: int = 0) -> TokenMaps:
        """Compute the maps, each [T, N]."""
        found = token_maps(
            self.decoder, layer, self.memory, self.encodings, self.tokens, plus, minus
        )
        return TokenMaps(*(np.asarray(each[0]) for each in found))

    def word(self) -> tuple[Tokens, Tokens, Tokens]:
        """Return the caption up to a token, and the terms of this token alone."""
        tokens = self.tokens[0, : PLACE + 1]
        plus = np.zeros_like(tokens)
        plus[PLACE] = tokens[PLACE]
        return tokens, plus, np.zeros_like(tokens)


@pytest.fixture(scope="module", params=MAPPED)
def case(request: pytest.FixtureRequest) -> Case:
    """Each checkpoint with maps."""
    return Case(request.param)


def expect_close(got: Any, expected: NDArray[Any]) -> None:
    got = np.asarray(got)
    atol = 2e-5 * np.abs(expected).max()
    np.testing.assert_allclose(got.reshape(expected.shape), expected, rtol=0, atol=atol)


def test_one_pass_gives_each_token_the_map_that_a_pass_of_its_own_gives(case: Case) -> None:
    assert len(case.layers) > 1
    for layer in case.layers:
        maps = case.maps(case.tokens, case.none, layer)
        expect_close(maps.crossattention, case.expected["crossattention"][layer])


def test_cams_in_closed_form_equal_those_of_separate_passes(case: Case) -> None:
    maps = case.maps(case.tokens, case.none)
    expect_close(maps.gradcam, case.expected["gradcam"])
    expect_close(maps.hirescam, case.expected["hirescam"])


def test_a_contrast_is_the_difference_of_two_logits(case: Case) -> None:
    other = np.roll(case.tokens, 1, axis=1)
    both = case.maps(case.tokens, other)
    one, rest = case.maps(case.tokens, case.none), case.maps(other, case.none)
    expect_close(both.gradcam, one.gradcam - rest.gradcam)
    expect_close(both.hirescam, one.hirescam - rest.hirescam)


def test_a_place_without_a_term_has_no_map(case: Case) -> None:
    plus = case.tokens.copy()
    plus[0, 1] = 0
    for found, whole in zip(
        case.maps(plus, case.none), case.maps(case.tokens, case.none), strict=True
    ):
        assert np.abs(found[1]).max() == 0 < np.abs(whole[1]).max()
        expect_close(found[2:], whole[2:])


def test_attention_is_that_of_the_layer(case: Case) -> None:
    for layer in case.layers:
        weights = attention_weights(case.decoder, layer, case.memory, case.tokens)
        expect_close(weights[0], case.expected["attention"][layer])


def test_a_token_has_the_logit_and_the_total_gradient_of_pytorch(case: Case) -> None:
    word, twice = case.word(), tf.repeat(case.encodings, 2, axis=0)
    logits = caption_logits(case.decoder, twice, *word)
    expect_close(logits, np.repeat(case.expected["logits"][PLACE], 2))

    def z(encodings: tf.Tensor) -> tf.Tensor:
        return caption_logits(case.decoder, encodings, *word)

    patches, gradients = case.encodings[0, 1:].numpy(), gradient(z, case.encodings)[0, 1:].numpy()
    expect_close(patches @ gradients.mean(axis=0), case.expected["gradcam-total"][PLACE])
    expect_close((patches * gradients).sum(axis=-1), case.expected["hirescam-total"][PLACE])


def test_an_attack_has_the_gradient_of_pytorch(case: Case) -> None:
    tokens, lowered = case.tokens[0], case.none[0].copy()
    lowered[:2] = tokens[:2]

    def z(encodings: tf.Tensor) -> tf.Tensor:
        numbers = tf.constant(RAISED), tf.constant(FIRST)
        return objective(case.decoder, encodings, tokens, lowered, *numbers)

    expect_close(gradient(z, case.encodings)[0], case.expected["attack"])
