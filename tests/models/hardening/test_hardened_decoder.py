"""Tests of saving and loading hardened decoders."""

from pathlib import Path

import numpy as np
import pytest

from models.captioner.beam_search import BeamConfig
from models.captioner.captioner import Captioner
from models.captioner.decoder import Decoder
from models.checkpoint import CheckpointError, ModelCard, load, save
from models.hardening.hardened_decoder import (
    HardenedCard,
    Robustness,
    copy_decoder,
    load_hardened,
    read_hardened_card,
    save_hardened,
)
from tests.models.conftest import randomize

CARD = HardenedCard(
    data="made up",
    pictures=8,
    steps=2,
    cider_plain=0.6,
    cider_hardened=0.59,
    same_clean=0.9,
    robustness=(Robustness(0.5, "plain", 0.9, 0.4, 0.2, 0.4),),
)
FILE = "hardened.npz"


@pytest.fixture
def folder(tmp_path: Path, captioner: Captioner) -> Path:
    save(tmp_path, captioner, ModelCard("made", "made up", "none", {}, BeamConfig()))
    return tmp_path


@pytest.fixture
def hardened(captioner: Captioner) -> Decoder:
    """A decoder that differs slightly in every weight, as after training."""
    made = copy_decoder(captioner)
    random = np.random.default_rng(3)
    made.set_weights(
        [w + random.normal(0, 0.01, w.shape).astype(np.float32) for w in made.get_weights()]
    )
    return made


def test_decoder_is_saved_and_loaded(folder: Path, hardened: Decoder) -> None:
    captioner, _ = load(folder)

    path = save_hardened(folder, captioner, hardened, CARD)
    loaded = load_hardened(folder, captioner)

    assert loaded
    # A level is 1/127 of the column's largest difference, which is at most 0.05.
    for got, expected, plain in zip(
        loaded.get_weights(),
        hardened.get_weights(),
        captioner.decoder.get_weights(),
        strict=True,
    ):
        np.testing.assert_allclose(got, expected, atol=0.05 / 127 / 2 + 2e-4)
        assert not np.array_equal(got, plain)
    assert path.stat().st_size < 0.6 * (folder / "weights.npz").stat().st_size
    card = read_hardened_card(folder)
    assert card
    assert (card.robustness, card.cider_hardened) == (CARD.robustness, CARD.cider_hardened)


def test_captioner_without_hardened_decoder_has_none(folder: Path) -> None:
    captioner, _ = load(folder)

    assert load_hardened(folder, captioner) is None
    assert read_hardened_card(folder) is None


def test_decoder_of_other_weights_is_refused(folder: Path, hardened: Decoder) -> None:
    captioner, card = load(folder)
    save_hardened(folder, captioner, hardened, CARD)
    randomize(captioner.decoder, seed=9)
    save(folder, captioner, card)

    with pytest.raises(CheckpointError, match=f"{FILE} in .* was made for other weights"):
        load_hardened(folder, captioner)


@pytest.mark.parametrize("length", [0, 100, -40])
def test_damaged_file_is_refused_in_one_line(folder: Path, hardened: Decoder, length: int) -> None:
    captioner, _ = load(folder)
    path = save_hardened(folder, captioner, hardened, CARD)
    path.write_bytes(path.read_bytes()[:length])

    with pytest.raises(CheckpointError, match=r"truncated or damaged.*models\.harden") as refused:
        load_hardened(folder, captioner)
    assert "\n" not in str(refused.value)
