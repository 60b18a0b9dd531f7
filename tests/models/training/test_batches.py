"""Tests of batches: example i has the feature i, -i when mirrored, and says the words i."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.datasets import Example
from models.language.vocabulary import END, PAD, SPECIAL_WORDS, Vocabulary
from models.training.batches import Batches, TrainingSet, targets
from models.training.config import TrainingConfig

CONFIG = TrainingConfig(name="small", batch=4, captions=2, length=5)
COUNT = 10
NUMBERS = Vocabulary([*SPECIAL_WORDS, *(str(i) for i in range(COUNT)), "left", "right", "b"])
FEATURES = np.arange(COUNT, dtype=np.float16).reshape(COUNT, 1, 1, 1, 1)
VIEWS = np.concatenate([FEATURES, -FEATURES], axis=1)


def numbered_batches(
    texts: Mapping[int, Sequence[str]] | None = None,
    config: TrainingConfig = CONFIG,
    *,
    features: NDArray[np.float16] = VIEWS,
    without_picture: Sequence[str] = (),
) -> Batches:
    captions: dict[int, Sequence[str]] = {i: (f"{i}", f"{i} b") for i in range(COUNT)}
    captions |= texts or {}
    examples = [Example(f"{i}.jpg", "train", tuple(captions[i])) for i in range(COUNT)]
    pooled = 10 * features[:, :, 0, 0]
    return Batches(TrainingSet(examples, features, pooled, without_picture), NUMBERS, config)


def epoch_of(batches: Batches, epoch: int = 0) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Get the features' numbers and the words of each batch of an epoch."""
    got = []
    batches.begin(epoch)
    for index in range(len(batches)):
        inputs, wanted = batches[index]
        np.testing.assert_array_equal(inputs.tokens, wanted[..., 0])
        np.testing.assert_array_equal(inputs.pooled[:, 0], 10 * inputs.features[:, 0, 0, 0])
        got.append((inputs.features[:, 0, 0, 0], inputs.tokens))
    return got


def shown_in(batches: Batches, epoch: int) -> NDArray[np.float32]:
    """Get the features' numbers in the order of an epoch."""
    return np.concatenate([numbers for numbers, _ in epoch_of(batches, epoch)])


def order(batches: Batches, epoch: int) -> list[float]:
    """Get the pictures' numbers in the order of an epoch."""
    numbers: list[float] = np.abs(shown_in(batches, epoch)).tolist()
    return numbers


def test_epoch_shows_every_picture_once_with_its_own_captions() -> None:
    batches = numbered_batches()

    for epoch in range(3):
        assert sorted(order(batches, epoch)) == list(range(COUNT))
        got = epoch_of(batches, epoch)
        assert [len(numbers) for numbers, _ in got] == [4, 4, 2]
        for numbers, words in got:
            assert words.shape == (len(numbers), 2, 5)
            for number, pair in zip(np.abs(numbers).astype(int), words.tolist(), strict=True):
                expected = [NUMBERS.encode(text, 5) for text in (f"{number}", f"{number} b")]
                assert sorted(pair) == sorted(expected)


def test_order_differs_by_epoch_and_by_seed() -> None:
    batches, seeded = numbered_batches(), numbered_batches(config=replace(CONFIG, seed=1))

    assert order(batches, 0) != order(batches, 1)
    assert order(batches, 1) != order(seeded, 1)


def test_epoch_is_the_same_whenever_it_is_begun() -> None:
    batches, other = numbered_batches(), numbered_batches()
    first = epoch_of(batches, 1)
    epoch_of(other, 0)
    _ = other[1]

    for again in (epoch_of(batches, 1), epoch_of(other, 1)):
        for (numbers_a, words_a), (numbers_b, words_b) in zip(first, again, strict=True):
            np.testing.assert_array_equal(numbers_a, numbers_b)
            np.testing.assert_array_equal(words_a, words_b)


def test_batch_that_is_asked_for_twice_is_the_same() -> None:
    many = {i: tuple(f"{i} " + "b " * n for n in range(4)) for i in range(COUNT)}
    batches = numbered_batches(many)

    first, again = batches[1][0], batches[1][0]

    np.testing.assert_array_equal(first.features, again.features)
    np.testing.assert_array_equal(first.tokens, again.tokens)


def test_half_of_the_pictures_are_mirrored_but_none_whose_captions_name_a_side() -> None:
    sided = {3: ("3", "3 Left"), 5: ("5 right", "5")}
    batches = numbered_batches(sided)

    shown = np.concatenate([shown_in(batches, epoch) for epoch in range(40)])

    mirrored = {i: int((shown == -i).sum()) for i in range(1, COUNT)}
    assert mirrored.pop(3) == mirrored.pop(5) == 0
    assert all(8 < times < 32 for times in mirrored.values())


def test_no_picture_is_mirrored_without_mirrored_views() -> None:
    batches = numbered_batches(features=FEATURES)

    assert all((shown_in(batches, epoch) >= 0).all() for epoch in range(3))


def test_captions_are_drawn_without_repetition_where_there_are_enough() -> None:
    many = {i: tuple(f"{i} " + "b " * n for n in range(4)) for i in range(COUNT)}
    few = {i: (f"{i}",) for i in range(COUNT)}
    three = replace(CONFIG, captions=3)
    for texts, different in ((many, 3), (few, 1)):
        for _, words in epoch_of(numbered_batches(texts, three)):
            assert {len(np.unique(drawn, axis=0)) for drawn in words} == {different}


def test_texts_come_with_nothing_for_a_picture() -> None:
    texts = ["b b", "b left", "b right", "left b"] * 4
    batches = numbered_batches(config=replace(CONFIG, texts=5), without_picture=texts)

    batches.begin(0)
    parts = [batches.batch(index) for index in range(len(batches))]

    rows = [part.inputs.tokens[part.pictures < 0] for part in parts]
    assert [len(row) for row in rows] == [2, 2, 1]
    known = {tuple(NUMBERS.encode(text, 5)) for text in texts}
    assert {tuple(caption) for row in np.concatenate(rows).tolist() for caption in row} <= known
    for part in parts:
        assert (part.inputs.features[part.pictures < 0] == 0).all()
        assert sum(part.pictures >= 0) in (4, 2)
    batches.begin(1)
    assert not np.array_equal(batches.batch(0).inputs.tokens[-2:], rows[0])


def test_texts_are_left_out_when_none_are_asked_for() -> None:
    batches = numbered_batches(without_picture=["b b"] * 40)

    assert all((batches.batch(index).pictures >= 0).all() for index in range(len(batches)))


def test_targets_share_each_captions_weight_among_all_words() -> None:
    tokens = np.array([[[5, 6, END, PAD], [7, END, PAD, PAD]]], np.int32)

    wanted = targets(tokens, np.array([[1.0, -2.0]], np.float32))

    np.testing.assert_array_equal(wanted[..., 0], tokens)
    np.testing.assert_allclose(
        wanted[..., 1], [[[0.2, 0.2, 0.2, 0.0], [-0.4, -0.4, 0.0, 0.0]]], rtol=1e-6
    )
