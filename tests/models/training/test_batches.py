"""Tests of batches. Example i has the feature i, or -i when mirrored, and the caption "i"."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.datasets import Example
from models.language import END, PAD, SPECIAL_WORDS, Vocabulary
from models.training.config import TrainingConfig
from models.training.data import Batches, TrainingSet, targets

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
    without_image: Sequence[str] = (),
) -> Batches:
    captions: dict[int, Sequence[str]] = {i: (f"{i}", f"{i} b") for i in range(COUNT)}
    captions |= texts or {}
    examples = [Example(f"{i}.jpg", "train", tuple(captions[i])) for i in range(COUNT)]
    pooled = 10 * features[:, :, 0, 0]
    return Batches(TrainingSet(examples, features, pooled, without_image), NUMBERS, config)


def epoch_of(batches: Batches, epoch: int = 0) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Return the feature values and the words of each batch of an epoch."""
    got = []
    batches.start_epoch(epoch)
    for index in range(len(batches)):
        inputs, target_values = batches[index]
        np.testing.assert_array_equal(inputs.tokens, target_values[..., 0])
        np.testing.assert_array_equal(inputs.pooled[:, 0], 10 * inputs.features[:, 0, 0, 0])
        got.append((inputs.features[:, 0, 0, 0], inputs.tokens))
    return got


def features_of(batches: Batches, epoch: int) -> NDArray[np.float32]:
    """Return the feature values in the order of an epoch."""
    return np.concatenate([numbers for numbers, _ in epoch_of(batches, epoch)])


def order(batches: Batches, epoch: int) -> list[float]:
    """Return the image numbers in the order of an epoch."""
    numbers: list[float] = np.abs(features_of(batches, epoch)).tolist()
    return numbers


def test_epoch_has_every_image_once_with_its_own_captions() -> None:
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


def test_epochs_are_deterministic() -> None:
    batches, other = numbered_batches(), numbered_batches()
    first = epoch_of(batches, 1)
    epoch_of(other, 0)
    _ = other[1]

    for again in (epoch_of(batches, 1), epoch_of(other, 1)):
        for (numbers_a, words_a), (numbers_b, words_b) in zip(first, again, strict=True):
            np.testing.assert_array_equal(numbers_a, numbers_b)
            np.testing.assert_array_equal(words_a, words_b)


def test_batches_are_deterministic() -> None:
    many = {i: tuple(f"{i} " + "b " * n for n in range(4)) for i in range(COUNT)}
    batches = numbered_batches(many)

    first, again = batches[1][0], batches[1][0]

    np.testing.assert_array_equal(first.features, again.features)
    np.testing.assert_array_equal(first.tokens, again.tokens)


def test_half_of_the_images_are_mirrored_except_if_a_caption_names_a_side() -> None:
    sided = {3: ("3", "3 Left"), 5: ("5 right", "5")}
    batches = numbered_batches(sided)

    shown = np.concatenate([features_of(batches, epoch) for epoch in range(40)])

    mirrored = {i: int((shown == -i).sum()) for i in range(1, COUNT)}
    assert mirrored.pop(3) == mirrored.pop(5) == 0
    assert all(8 < times < 32 for times in mirrored.values())


def test_no_image_is_mirrored_without_mirrored_views() -> None:
    batches = numbered_batches(features=FEATURES)

    assert all((features_of(batches, epoch) >= 0).all() for epoch in range(3))


def test_captions_are_drawn_without_repetition_and_padded_where_there_are_too_few() -> None:
    many = {i: tuple(f"{i} " + "b " * n for n in range(4)) for i in range(COUNT)}
    few = {i: (f"{i}",) for i in range(COUNT)}
    three = replace(CONFIG, captions=3)
    for texts, different in ((many, 3), (few, 1)):
        for _, words in epoch_of(numbered_batches(texts, three)):
            for drawn in words:
                captions = drawn[(drawn != PAD).any(axis=1)]
                assert len(np.unique(captions, axis=0)) == len(captions) == different


def test_texts_have_zero_features() -> None:
    texts = ["b b", "b left", "b right", "left b"] * 4
    batches = numbered_batches(config=replace(CONFIG, texts=5), without_image=texts)

    batches.start_epoch(0)
    parts = [batches.batch(index) for index in range(len(batches))]

    rows = [part.inputs.tokens[part.images < 0] for part in parts]
    assert [len(row) for row in rows] == [2, 2, 1]
    known = {tuple(NUMBERS.encode(text, 5)) for text in texts}
    assert {tuple(caption) for row in np.concatenate(rows).tolist() for caption in row} <= known
    for part in parts:
        assert (part.inputs.features[part.images < 0] == 0).all()
        assert sum(part.images >= 0) in (4, 2)
    batches.start_epoch(1)
    assert not np.array_equal(batches.batch(0).inputs.tokens[-2:], rows[0])


def test_texts_are_not_used_by_default() -> None:
    batches = numbered_batches(without_image=["b b"] * 40)

    assert all((batches.batch(index).images >= 0).all() for index in range(len(batches)))


def test_targets_divide_each_captions_weight_by_the_number_of_words() -> None:
    tokens = np.array([[[5, 6, END, PAD], [7, END, PAD, PAD]]], np.int32)

    target_values = targets(tokens, np.array([[1.0, -2.0]], np.float32))

    np.testing.assert_array_equal(target_values[..., 0], tokens)
    np.testing.assert_allclose(
        target_values[..., 1], [[[0.2, 0.2, 0.2, 0.0], [-0.4, -0.4, 0.0, 0.0]]], rtol=1e-6
    )
