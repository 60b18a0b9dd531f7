"""Tests of BLIP's search against `generate` of `transformers`; see `test_networks.py`."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from models.blip import (
    Blip,
    SearchConfig,
    beam_search,
    load_blip,
    teacher_forced_captions,
)
from models.captioner import BeamCaption
from models.graph import graph
from models.language import PAD
from tests.support.blip import folder, make_images, stored

LENGTH = 12

OPTIONS: dict[str, dict[str, Any]] = {
    "short": {"length_penalty": -1.0},
    "long": {"length_penalty": 2.0, "early_stopping": "never"},
    "early": {"early_stopping": True},
    "minimum": {"min_length": 5},
    "few": {"width": 4, "max_length": 3},
    "prompt": {"width": 2},
}


@cache
def load(name: str) -> tuple[Blip, tf.Tensor]:
    """Load a checkpoint and encode its images."""
    blip = load_blip(folder(name))
    images = make_images(blip.config.vision_config.image_size)
    return blip, tf.constant(blip.encoder(images.astype(np.float32)))


def search(name: str, config: SearchConfig) -> BeamCaption:
    """Caption all images of a checkpoint together."""
    blip, image_tokens = load(name)
    decoder = blip.decoder
    run = graph(lambda tokens: beam_search(decoder, decoder.build_memory(tokens), config))
    return BeamCaption(*(np.asarray(part) for part in run(image_tokens)))


# Each pair compiles a graph, which takes a second; widths 2 and 4 are those of options below.
@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("plain", 1),
        ("plain", 3),
        ("plain", 5),
        ("untied", 2),
        ("wide", 3),
        ("deep", 4),
        ("brain", 5),
    ],
)
def test_captions_equal_those_of_transformers(name: str, width: int) -> None:
    expected = stored(name)

    found = search(name, SearchConfig(width=width, max_length=LENGTH))

    np.testing.assert_array_equal(found.tokens, expected[f"beam{width}/tokens"])
    assert found.scores.shape == (len(found.tokens), width)
    if width > 1:
        scores = expected[f"beam{width}/scores"]
        np.testing.assert_allclose(found.scores[:, 0], scores, atol=1e-4)


@pytest.mark.parametrize("name", OPTIONS)
def test_options_mean_what_they_mean_in_transformers(name: str) -> None:
    options = {"max_length": LENGTH} | OPTIONS[name]
    if name == "prompt":
        options["prompt"] = load("plain")[0].word_pieces.encode("picture of")
    expected = stored("plain")

    found = search("plain", SearchConfig(**options))

    np.testing.assert_array_equal(found.tokens, expected[f"{name}/tokens"])
    scores = expected[f"{name}/scores"]
    np.testing.assert_allclose(found.scores[:, 0], scores, atol=1e-4, rtol=1e-5)
    # Each option makes a difference.
    usual = expected[f"beam{options.get('width', 3)}/tokens"]
    assert found.tokens.shape != usual.shape or (found.tokens != usual).any()


def test_greedy_search_ends_with_its_first_caption() -> None:
    config = SearchConfig(width=1, max_length=LENGTH, length_penalty=2.0, early_stopping="never")

    found = search("plain", config)

    np.testing.assert_array_equal(found.tokens, stored("plain")["beam1/tokens"])


def test_search_returns_the_probabilities_of_teacher_forcing() -> None:
    config = SearchConfig(width=3, max_length=LENGTH, alternatives=3, temperature=1.7)
    blip, image_tokens = load("wide")
    decoder = blip.decoder

    found = search("wide", config)
    memory = decoder.build_memory(image_tokens)
    rescored = teacher_forced_captions(decoder, memory, found.tokens, config)

    is_token = found.tokens != PAD
    hidden = decoder.teacher_force(found.tokens, memory).hidden
    logits = np.asarray(decoder.logits(hidden), np.float64)
    for temperature, name in ((1.0, "search_log_probs"), (1.7, "log_probs")):
        log_probs = np.log(softmax(logits / temperature))
        chosen = np.take_along_axis(log_probs, found.tokens[..., None], axis=-1)[..., 0]
        for result in (found, rescored):
            got = np.asarray(getattr(result, name))
            np.testing.assert_allclose(got, np.where(is_token, chosen, 0), atol=1e-4)
    order = np.argsort(-logits, axis=-1)[..., :3]
    for result in (found, rescored):
        alternatives = np.asarray(result.alternative_tokens)
        np.testing.assert_array_equal(alternatives[is_token], order[is_token])
        got = np.asarray(result.alternative_log_probs)
        expected = np.take_along_axis(log_probs, order, axis=-1)
        np.testing.assert_allclose(got[is_token], expected[is_token], atol=1e-4)
        assert result.hidden.shape == (*found.tokens.shape, 0)
    # The runners-up are captions, too.
    assert (np.diff(found.scores, axis=1) < 0).all()
    np.testing.assert_array_equal(found.beam[:, 0], found.tokens)
    for place in range(3):
        rescored = teacher_forced_captions(decoder, memory, found.beam[:, place], config)
        scores = np.asarray(rescored.scores)[:, 0]
        np.testing.assert_allclose(scores, found.scores[:, place], atol=1e-4)


def test_caption_longer_than_the_texts_of_the_decoder_is_refused() -> None:
    with pytest.raises(ValueError, match=r"captions of 40 tokens .* at most 32; lower max_length"):
        search("untied", SearchConfig(max_length=40))


def softmax(x: NDArray[np.float64]) -> NDArray[np.float64]:
    exponents = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=-1, keepdims=True))
