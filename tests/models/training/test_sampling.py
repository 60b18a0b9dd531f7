"""Tests of captions drawn at random, against the decoder's own probabilities."""

import keras
import numpy as np

from models.language.vocabulary import END, PAD, START, UNKNOWN
from models.training.self_critical import sample
from tests.models.conftest import WORDS, MakeDecoder, random_grids


def test_first_words_are_drawn_as_often_as_they_are_likely(make_decoder: MakeDecoder) -> None:
    decoder = make_decoder()
    grid = random_grids(2)
    memory = decoder.remember(grid)
    logits = np.array(decoder.step(np.full((2, 1), START), decoder.start(memory, 1), memory)[0])
    logits[..., [PAD, START, UNKNOWN]] = -np.inf
    wanted = np.exp(logits[:, 0]) / np.exp(logits[:, 0]).sum(axis=-1, keepdims=True)

    drawn = np.asarray(sample(decoder, grid, 4000, 1, keras.random.SeedGenerator(0)))

    for picture in range(2):
        shares = np.bincount(drawn[picture, :, 0], minlength=len(WORDS)) / 4000
        np.testing.assert_allclose(shares, wanted[picture], atol=0.04)


def test_later_words_are_drawn_given_the_words_before(make_decoder: MakeDecoder) -> None:
    decoder = make_decoder()
    grid = random_grids(1)
    drawn = np.asarray(sample(decoder, grid, 6000, 2, keras.random.SeedGenerator(1)))[0]
    first = int(np.bincount(drawn[drawn[:, 0] != END, 0]).argmax())

    words = np.array([[[first, END]]])
    logits = np.array(decoder((grid, words)))[0, 0, 1]
    logits[[PAD, START, UNKNOWN]] = -np.inf

    after = drawn[drawn[:, 0] == first, 1]
    shares = np.bincount(after, minlength=len(WORDS)) / len(after)
    np.testing.assert_allclose(shares, np.exp(logits) / np.exp(logits).sum(), atol=0.05)


def test_after_the_end_comes_padding_and_no_special_word_is_said(
    make_decoder: MakeDecoder,
) -> None:
    drawn = np.asarray(
        sample(make_decoder(), random_grids(3), 40, 8, keras.random.SeedGenerator(2))
    )

    assert drawn.shape == (3, 40, 8)
    assert drawn.dtype == np.int32
    assert not np.isin(drawn, [START, UNKNOWN]).any()
    ended = np.cumsum(drawn == END, axis=-1) - (drawn == END) > 0
    assert ended.any()
    assert ((drawn == PAD) == ended).all()
