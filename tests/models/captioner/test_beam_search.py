"""Tests of beam search against a plain and an exhaustive search, and values computed by hand."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.captioner.beam_search import BeamCaption, BeamConfig, beam_search
from models.captioner.decoder import Decoder
from models.language import END, PAD, START, UNKNOWN
from tests.models.conftest import CHANNELS, SMALL, MakeDecoder, random_grids
from tests.support.oracle.numpy_decoder import NumpyDecoder
from tests.support.oracle.plain_beam_search import exhaustive_search, plain_beam_search

BALL = 7


def search(decoder: Decoder, grids: NDArray[np.float32], config: BeamConfig) -> BeamCaption:
    return BeamCaption(*(np.asarray(part) for part in beam_search(decoder, grids, config)))


def words(tokens: NDArray[np.int32]) -> list[int]:
    """Return the tokens up to and including the end; the rest must be padding."""
    ids: list[int] = tokens.tolist()
    length = ids.index(END) + 1 if END in ids else len(ids)
    assert set(ids[length:]) <= {PAD}
    return ids[:length]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("width", "ngram"), [(1, 0), (1, 2), (2, 2), (3, 0), (3, 1), (3, 2), (3, 3), (4, 2)]
)
def test_caption_is_that_of_a_plain_search(
    make_decoder: MakeDecoder, seed: int, width: int, ngram: int
) -> None:
    decoder, grids = make_decoder(seed), random_grids(3, seed)
    config = BeamConfig(width, max_length=7, length_power=0.7, blocked_ngram=ngram, alternatives=3)

    found = search(decoder, grids, config)

    for image, grid in enumerate(grids):
        plain = plain_beam_search(NumpyDecoder(decoder, grid), config)[0]
        assert words(found.tokens[image]) == plain.tokens
        length = len(plain.tokens)
        np.testing.assert_allclose(found.log_probs[image, :length], plain.log_probs, atol=1e-3)
        assert not found.log_probs[image, length:].any()
        expected = [[word for _, word in step[:3]] for step in plain.most_probable]
        expected_log_probs = [
            [log_prob for log_prob, _ in step[:3]] for step in plain.most_probable
        ]
        assert found.alternative_tokens[image, :length].tolist() == expected
        np.testing.assert_allclose(
            found.alternative_log_probs[image, :length], expected_log_probs, atol=1e-3
        )


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("width", "ngram", "window"), [(1, 0, 2), (3, 0, 3), (3, 2, 3), (2, 2, 5)])
def test_distinct_words_do_not_recur_in_a_plain_search_either(
    make_decoder: MakeDecoder, seed: int, width: int, ngram: int, window: int
) -> None:
    decoder, grids = make_decoder(seed), random_grids(3, seed)
    config = BeamConfig(width, 7, blocked_ngram=ngram, blocked_window=window)
    free = search(decoder, grids, config).tokens
    decoder.distinct_words = np.random.default_rng(seed).random(SMALL.vocabulary_size) < 0.7

    found = search(decoder, grids, config).tokens

    for image, grid in enumerate(grids):
        plain = plain_beam_search(NumpyDecoder(decoder, grid), config)[0]
        assert words(found[image]) == plain.tokens
    if ngram == 0:
        assert (found != free).any()


@pytest.mark.parametrize(("window", "balls"), [(0, 6), (1, 6), (2, 1), (3, 1)])
def test_only_distinct_words_are_kept_from_recurring(window: int, balls: int) -> None:
    config = BeamConfig(2, 6, length_power=1.0, blocked_ngram=0, blocked_window=window)
    decoder = constant_decoder(0.9)
    assert words(search(decoder, random_grids(1), config).tokens[0]).count(BALL) == 6

    decoder.distinct_words[BALL] = True

    assert words(search(decoder, random_grids(1), config).tokens[0]).count(BALL) == balls


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_temperature_changes_log_probs_but_not_the_caption(
    make_decoder: MakeDecoder, temperature: float
) -> None:
    decoder, grids = make_decoder(4), random_grids(3, 4)
    config = BeamConfig(3, max_length=7, alternatives=3, temperature=temperature)

    found = search(decoder, grids, config)

    for image, grid in enumerate(grids):
        plain = plain_beam_search(NumpyDecoder(decoder, grid), config)[0]
        assert words(found.tokens[image]) == plain.tokens
        length = len(plain.tokens)
        for log_probs, expected in (
            (found.log_probs, plain.tempered_log_probs),
            (found.search_log_probs, plain.log_probs),
            (
                found.alternative_log_probs,
                [[log_prob for log_prob, _ in step[:3]] for step in plain.most_probable],
            ),
        ):
            np.testing.assert_allclose(log_probs[image, :length], expected, atol=1e-3)
        assert not found.search_log_probs[image, length:].any()


@pytest.mark.parametrize("width", [1, 3, 4])
def test_scores_are_the_ranking_scores_of_the_beam(make_decoder: MakeDecoder, width: int) -> None:
    decoder, grids = make_decoder(2), random_grids(3, 2)
    config = BeamConfig(width, max_length=7, length_power=0.7, temperature=2.0)

    found = search(decoder, grids, config)

    for image, grid in enumerate(grids):
        beam = plain_beam_search(NumpyDecoder(decoder, grid), config)
        expected = [hypothesis.rank(config.length_power) for hypothesis in beam]
        np.testing.assert_allclose(found.scores[image], expected, atol=1e-3)


def test_the_captions_above_include_finished_and_unfinished_ones(make_decoder: MakeDecoder) -> None:
    config = BeamConfig(3, max_length=7)

    ended = [
        END in tokens
        for seed in range(3)
        for tokens in search(make_decoder(seed), random_grids(3, seed), config).tokens
    ]

    assert set(ended) == {True, False}


@pytest.mark.parametrize("length_power", [0.0, 0.7, 1.5])
def test_beam_that_holds_all_captions_finds_the_best(
    make_decoder: MakeDecoder, length_power: float
) -> None:
    decoder, grids = make_decoder(3, vocabulary_size=7), random_grids(2)
    # With 3 words and the end there are 40 captions of at most 3 words.
    config = BeamConfig(40, max_length=3, length_power=length_power, alternatives=0)

    found = search(decoder, grids, config)

    for image, grid in enumerate(grids):
        best = exhaustive_search(NumpyDecoder(decoder, grid), config)
        assert words(found.tokens[image]) == best.tokens
        np.testing.assert_allclose(found.log_probs[image].sum(), sum(best.log_probs), atol=1e-3)


def test_width_1_is_greedy(make_decoder: MakeDecoder) -> None:
    decoder, grids = make_decoder(1), random_grids(1)

    caption = words(search(decoder, grids, BeamConfig(1, max_length=6, blocked_ngram=0)).tokens[0])

    memory = decoder.build_memory(grids)
    state, before = decoder.initial_state(memory, 1), START
    for word in caption:
        step = decoder.step(np.array([[before]]), state, memory)
        logits = np.array(step.logits)[0, 0]
        logits[[PAD, START, UNKNOWN]] = -np.inf
        assert word == logits.argmax()
        state, before = step.state, word


def test_caption_does_not_depend_on_the_rest_of_the_batch(make_decoder: MakeDecoder) -> None:
    decoder, grids = make_decoder(2), random_grids(5)
    config = BeamConfig(3, max_length=7)

    together = search(decoder, grids, config)

    assert len({tuple(tokens) for tokens in together.tokens.tolist()}) > 1
    for image in range(5):
        alone = search(decoder, grids[image : image + 1], config)
        assert alone.tokens[0].tolist() == together.tokens[image].tolist()
        np.testing.assert_allclose(alone.log_probs[0], together.log_probs[image], atol=1e-4)


@pytest.mark.parametrize("width", [1, 3])
def test_special_tokens_occur_neither_in_captions_nor_in_alternatives(
    make_decoder: MakeDecoder, width: int
) -> None:
    decoder = make_decoder(0)
    bias = np.asarray(decoder.word_bias).copy()
    bias[[PAD, START, UNKNOWN]] = 50
    decoder.word_bias.assign(bias)

    found = search(decoder, random_grids(4), BeamConfig(width, max_length=7, alternatives=4))

    for image in range(4):
        caption = words(found.tokens[image])
        assert not {PAD, START, UNKNOWN} & set(caption)
        assert not np.isin(
            found.alternative_tokens[image, : len(caption)], [PAD, START, UNKNOWN]
        ).any()
        # Probabilities are normalised without the forbidden tokens.
        assert np.exp(found.alternative_log_probs[image, : len(caption)]).sum(axis=-1).min() > 0.4


@pytest.mark.parametrize("width", [1, 3])
def test_hidden_states_are_those_that_each_word_was_predicted_from(
    make_decoder: MakeDecoder, width: int
) -> None:
    for seed in range(3):
        decoder, grids = make_decoder(seed), random_grids(3, seed)
        found = search(decoder, grids, BeamConfig(width, max_length=7))
        readouts = decoder.teacher_force(grids, found.tokens[:, None]).readouts[:, 0]

        is_word = found.tokens != PAD
        expected = np.asarray(readouts)[..., : decoder.config.width][is_word]
        np.testing.assert_allclose(found.hidden[is_word], expected, atol=1e-4)


def constant_decoder(ball: float) -> Decoder:
    """Make a decoder that predicts ball or the end, always with the same probability."""
    decoder = Decoder(replace(SMALL, vocabulary_size=BALL + 1))
    decoder.build_for(CHANNELS)
    decoder.set_weights([np.zeros(weight.shape) for weight in decoder.weights])
    bias = np.full(BALL + 1, -50.0)
    bias[BALL], bias[END] = math.log(ball), math.log(1 - ball)
    decoder.word_bias.assign(bias)
    return decoder


# With 0.6 for a ball, 0.4 for the end and at most four words: ending at once has
# log 0.4 = -0.92, four balls have 4 log 0.6 = -2.04. Over the square root of their lengths they
# are -0.92 and -1.02, over their lengths -0.92 and -0.51.
@pytest.mark.parametrize(
    ("length_power", "expected"),
    [(0.0, [END]), (0.5, [END]), (1.0, [BALL] * 4)],
)
def test_higher_length_power_ranks_long_captions_higher(
    length_power: float, expected: list[int]
) -> None:
    config = BeamConfig(4, max_length=4, length_power=length_power, blocked_ngram=0, alternatives=2)

    found = search(constant_decoder(0.6), random_grids(1), config)

    assert words(found.tokens[0]) == expected
    log_prob = math.log(0.4 if expected == [END] else 0.6)
    np.testing.assert_allclose(found.log_probs[0, : len(expected)], log_prob, atol=1e-5)
    assert found.alternative_tokens[0, 0].tolist() == [BALL, END]
    np.testing.assert_allclose(
        found.alternative_log_probs[0, 0], [math.log(0.6), math.log(0.4)], atol=1e-5
    )


@pytest.mark.parametrize(("ngram", "balls"), [(0, 6), (1, 1), (2, 2), (3, 3), (6, 6), (9, 6)])
def test_ngrams_are_not_repeated(ngram: int, balls: int) -> None:
    config = BeamConfig(2, max_length=6, length_power=1.0, blocked_ngram=ngram)

    found = search(constant_decoder(0.9), random_grids(1), config)

    assert words(found.tokens[0]).count(BALL) == balls
    # Log-probabilities are the decoder's, whatever the search blocks.
    np.testing.assert_allclose(found.log_probs[0, :balls], math.log(0.9), atol=1e-5)


def test_alternatives_can_be_turned_off(make_decoder: MakeDecoder) -> None:
    found = search(make_decoder(), random_grids(2), BeamConfig(2, max_length=5, alternatives=0))

    assert found.alternative_tokens.shape == found.alternative_log_probs.shape == (2, 5, 0)
    assert found.tokens.shape == found.log_probs.shape == (2, 5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 0},
        {"max_length": 0},
        {"blocked_ngram": -1},
        {"blocked_window": -1},
        {"alternatives": -1},
        {"temperature": 0.0},
        {"temperature": math.nan},
    ],
)
def test_invalid_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="beam search: "):
        BeamConfig(**wrong)
