"""Tests of saving and loading a hardened model and its control."""

from pathlib import Path

import numpy as np
import pytest

from models.captioner.beam_search import BeamConfig
from models.captioner.captioner import Captioner
from models.checkpoint import CheckpointError, ModelCard, load, save
from models.hardening import (
    Effect,
    HardenedCard,
    LostWords,
    Student,
    load_hardened,
    read_hardened_card,
    round_weights,
    save_hardened,
)
from tests.models.conftest import randomize

CARD = HardenedCard(
    data="made up",
    pictures=8,
    epochs=3,
    steps=2,
    encoder_blocks=1,
    chosen_by=4,
    reported=5,
    cider={"plain": 0.6, "hardened": 0.59, "control": 0.6},
    distinct={"plain": 1.0, "hardened": 0.9, "control": 1.0},
    same={"plain": 1.0, "hardened": 0.9, "control": 0.95},
    harmless=(Effect("shift", {"plain": 0.4}, {"plain": 0.5}),),
    attacks=(Effect("pgd", {"plain": 0.9}, {"plain": 0.2}, 0.5, "plain"),),
    lost=(LostWords(0.5, 100, 40, 20, 12, 10, 3),),
)
FILE = "hardened.npz"


@pytest.fixture(scope="module")
def captioner(lite0_captioner: Captioner) -> Captioner:
    """A captioner whose encoder has many blocks."""
    return lite0_captioner


@pytest.fixture
def folder(tmp_path: Path, captioner: Captioner) -> Path:
    save(tmp_path, captioner, ModelCard("made", "made up", "none", {}, BeamConfig()))
    return tmp_path


def student(captioner: Captioner, seed: int) -> Student:
    """A model that differs slightly in every weight, as after training."""
    made = Student(captioner, 1)
    random = np.random.default_rng(seed)
    made.set_weights(
        [w + random.normal(0, 0.01, w.shape).astype(np.float32) for w in made.get_weights()]
    )
    return made


def save_both(folder: Path, captioner: Captioner) -> tuple[Path, list[Student]]:
    hardened, control = (student(captioner, seed) for seed in (3, 4))
    return save_hardened(folder, captioner, hardened, control, CARD), [hardened, control]


def test_both_models_are_saved_and_loaded(folder: Path) -> None:
    captioner, _ = load(folder)

    _, students = save_both(folder, captioner)
    found = load_hardened(folder, captioner)

    assert found
    plain = Student(captioner, 1).get_weights()
    for loaded, made in zip((found.hardened, found.control), students, strict=True):
        for got, expected, before in zip(
            loaded.get_weights(), made.get_weights(), plain, strict=True
        ):
            # Half a level of 1/7 of the column's largest difference, which is at most 0.06.
            np.testing.assert_allclose(got, expected, atol=0.06 / 7 / 2 + 2e-4)
            assert not np.array_equal(got, before)
        round_weights(captioner, made)
        for got, rounded in zip(loaded.get_weights(), made.get_weights(), strict=True):
            np.testing.assert_array_equal(got, rounded)
    card = read_hardened_card(folder)
    assert card
    assert (card.lost, card.cider, card.attacks) == (CARD.lost, CARD.cider, CARD.attacks)


def test_the_encoder_is_another_only_after_the_cut(captioner: Captioner) -> None:
    made = student(captioner, 3)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)

    own, other = Student(captioner, 1), made
    np.testing.assert_array_equal(own.head(pixels), other.head(pixels))
    np.testing.assert_allclose(own.tail(own.head(pixels)), captioner.encoder(pixels), atol=1e-5)
    np.testing.assert_allclose(other.tail(other.head(pixels)), other.encoder(pixels), atol=1e-5)
    assert np.abs(np.asarray(other.encoder(pixels)) - captioner.encoder(pixels)).max() > 1e-3
    assert Student(captioner, 0).encoder is captioner.encoder


def test_chance_is_the_reverse_of_what_is_called_fragile() -> None:
    assert CARD.lost[0].by_chance == 0.3
    assert LostWords(0.5, 100, 40, 2, 9, 1, 8).by_chance == 1
    assert LostWords(0.5, 100, 40, 0, 0, 0, 0).by_chance == 1


def test_captioner_without_hardened_model_has_none(folder: Path) -> None:
    captioner, _ = load(folder)

    assert load_hardened(folder, captioner) is None
    assert read_hardened_card(folder) is None


def test_models_of_other_weights_are_refused(folder: Path) -> None:
    captioner, card = load(folder)
    save_both(folder, captioner)
    randomize(captioner.decoder, seed=9)
    save(folder, captioner, card)

    with pytest.raises(CheckpointError, match=f"{FILE} in .* was made for other weights"):
        load_hardened(folder, captioner)


@pytest.mark.parametrize("length", [0, 100, -40])
def test_damaged_file_is_refused_in_one_line(folder: Path, length: int) -> None:
    captioner, _ = load(folder)
    path, _ = save_both(folder, captioner)
    path.write_bytes(path.read_bytes()[:length])

    with pytest.raises(CheckpointError, match=r"truncated or damaged.*models\.harden") as refused:
        load_hardened(folder, captioner)
    assert "\n" not in str(refused.value)
