"""Tests of the parts of training."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from models.beam_search import BeamConfig, beam_search
from models.datasets import Example
from models.decoder import Decoder
from models.training import Batches, CaptionLoss, Checkpoint, MovingAverage
from models.training_config import TrainingConfig
from models.vocabulary import END, PAD, SPECIAL_WORDS, Vocabulary, tokenize
from tests.models.conftest import WORDS, MakeDecoder, random_grids

CONFIG = TrainingConfig(name="small", batch=4, captions=2, length=5)

# --- Batches: example i has the grid i and the mirrored grid -i, and says the words i.

COUNT = 10
NUMBERS = Vocabulary([*SPECIAL_WORDS, *(str(i) for i in range(COUNT)), "left", "right", "b"])
GRIDS = np.arange(COUNT, dtype=np.float16).reshape(COUNT, 1, 1, 1)


def numbered_batches(
    texts: Mapping[int, Sequence[str]] | None = None,
    config: TrainingConfig = CONFIG,
    *,
    mirrored: bool = True,
) -> Batches:
    captions: dict[int, Sequence[str]] = {i: (f"{i}", f"{i} b") for i in range(COUNT)}
    captions |= texts or {}
    examples = [Example(f"{i}.jpg", "train", tuple(captions[i])) for i in range(COUNT)]
    flipped = -GRIDS if mirrored else None
    return Batches(GRIDS, flipped, examples, NUMBERS, config)


def epoch_of(batches: Batches, epoch: int = 0) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Get the grids' numbers and the words of each batch of an epoch."""
    got = []
    batches.begin(epoch)
    for index in range(len(batches)):
        (grids, words), targets = batches[index]
        np.testing.assert_array_equal(words, targets)
        got.append((grids[:, 0, 0, 0], words))
    return got


def shown_in(batches: Batches, epoch: int) -> NDArray[np.float32]:
    """Get the grids' numbers in the order of an epoch."""
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

    (grids, words), _ = batches[1]
    (grids_again, words_again), _ = batches[1]

    np.testing.assert_array_equal(grids, grids_again)
    np.testing.assert_array_equal(words, words_again)


def test_half_of_the_pictures_are_mirrored_but_none_whose_captions_name_a_side() -> None:
    sided = {3: ("3", "3 Left"), 5: ("5 right", "5")}
    batches = numbered_batches(sided)

    shown = np.concatenate([shown_in(batches, epoch) for epoch in range(40)])

    mirrored = {i: int((shown == -i).sum()) for i in range(1, COUNT)}
    assert mirrored.pop(3) == mirrored.pop(5) == 0
    assert all(8 < times < 32 for times in mirrored.values())


def test_no_picture_is_mirrored_without_mirrored_grids() -> None:
    batches = numbered_batches(mirrored=False)

    assert all((shown_in(batches, epoch) >= 0).all() for epoch in range(3))


def test_grids_are_not_changed_by_mixing_in_the_mirrored() -> None:
    epoch_of(numbered_batches())

    assert (GRIDS >= 0).all()


def test_captions_are_drawn_without_repetition_where_there_are_enough() -> None:
    many = {i: tuple(f"{i} " + "b " * n for n in range(4)) for i in range(COUNT)}
    few = {i: (f"{i}",) for i in range(COUNT)}
    three = replace(CONFIG, captions=3)
    for texts, different in ((many, 3), (few, 1)):
        for _, words in epoch_of(numbered_batches(texts, three)):
            assert {len(np.unique(drawn, axis=0)) for drawn in words} == {different}


# --- Loss


def test_loss_is_the_smoothed_cross_entropy_per_word() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (2, 3, 4, 9)).astype(np.float32)
    words = random.integers(4, 9, (2, 3, 4))
    words[0, 0, 2:] = PAD
    words[1, 2, 1:] = PAD

    loss = float(CaptionLoss(smoothing=0.1)(words, logits))

    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    wanted = 0.9 * np.eye(9)[words] + 0.1 / 9
    per_word = -(wanted * log_probs).sum(axis=-1)[words != PAD]
    assert per_word.size == 19
    assert loss == pytest.approx(per_word.mean(), rel=1e-5)


def test_loss_without_smoothing_of_a_sure_and_right_guess_is_nothing() -> None:
    words = np.array([[[4, END, PAD]]])
    logits = 100 * np.eye(6, dtype=np.float32)[words]

    assert float(CaptionLoss(0)(words, logits)) == pytest.approx(0, abs=1e-6)
    assert float(CaptionLoss(0)(words, -logits)) == pytest.approx(100 + np.log(5), rel=1e-4)


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


# --- Learning, and going on with it

CAPTIONS = ("a dog runs", "a red ball on grass", "grass", "a dog's red ball")


def compiled(decoder: Decoder) -> Decoder:
    decoder.compile(
        keras.optimizers.AdamW(0.02, global_clipnorm=5.0), CaptionLoss(0.0), jit_compile=False
    )
    return decoder


def captioned_batches() -> Batches:
    examples = [Example(f"{i}.jpg", "train", (text,)) for i, text in enumerate(CAPTIONS)]
    config = TrainingConfig(name="small", batch=2, captions=1, length=6)
    grids = random_grids(4).astype(np.float16)
    return Batches(grids, None, examples, Vocabulary(WORDS), config)


def fit(decoder: Decoder, average: MovingAverage, epochs: range) -> None:
    batches = captioned_batches()
    for epoch in epochs:
        batches.begin(epoch)
        decoder.fit(batches, shuffle=False, callbacks=[average], verbose=0)


def test_decoder_learns_which_picture_has_which_caption(make_decoder: MakeDecoder) -> None:
    decoder = compiled(make_decoder())

    decoder.fit(captioned_batches(), epochs=40, shuffle=False, verbose=0)

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
    decoder, average = make_decoder(), MovingAverage(0.9)
    before = decoder.get_weights()

    assert Checkpoint(tmp_path / "checkpoint.npz").restore(decoder, average) == []

    for a, b in zip(before, decoder.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert average.weights == []
