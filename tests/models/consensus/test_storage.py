"""Tests of saving and loading a consensus."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.captioner.beam_search import BeamConfig
from models.captioner.captioner import Captioner
from models.checkpoint import CheckpointError, ModelCard, load, save
from models.consensus.index import Consensus, ConsensusConfig
from models.consensus.storage import ConsensusCard, DevScores, load_consensus, save_consensus
from tests.models.conftest import randomize

FILE = "consensus.npz"
CONFIG = ConsensusConfig(neighbours=2, sharpness=3.0, weight=16.0)
CARD = ConsensusCard(4, CONFIG, (DevScores("made-up", 9, 0.4, 0.5, 0.6, 0.1, 0.2),), 0.9)
CAPTIONS = [[[4, 5, 2], [4, 6, 2]], [[4, 5, 6, 2]], [[7, 8, 2]], [[7, 9, 10, 2]]]
QUERY = np.random.default_rng(1).uniform(0, 4, 1280)


@cache
def make(channels: int = 1280) -> Consensus:
    pooled = np.random.default_rng(0).uniform(0, 4, (4, channels))
    return Consensus.fit(pooled, CAPTIONS, CONFIG, dimensions=3, minimum_images=1)


@pytest.fixture
def folder(tmp_path: Path, captioner: Captioner) -> Path:
    save(tmp_path, captioner, ModelCard("made", "made up", "none", {}, BeamConfig()))
    return tmp_path


def test_a_consensus_is_saved_and_loaded(folder: Path, captioner: Captioner) -> None:
    consensus = make()

    path = save_consensus(folder, consensus, CARD)
    loaded = load_consensus(folder, captioner)

    assert path == folder / FILE
    assert not list(folder.glob("*.partial*"))
    assert loaded
    assert (loaded.config, loaded.images, loaded.channels) == (CONFIG, 4, 1280)
    candidates = [[4, 5, 2], [7, 9, 2]]
    agreement = loaded.agreement(QUERY, candidates)
    np.testing.assert_array_equal(agreement, consensus.agreement(QUERY, candidates))
    assert agreement.any()


def test_a_captioner_without_a_consensus_has_none(folder: Path, captioner: Captioner) -> None:
    assert load_consensus(folder, captioner) is None


def test_a_consensus_of_other_weights_is_refused(folder: Path, captioner: Captioner) -> None:
    loaded, card = load(folder)
    save_consensus(folder, make(), CARD)
    randomize(loaded.decoder, seed=9)
    save(folder, loaded, card)

    with pytest.raises(CheckpointError, match=rf"{FILE} in .* was made for other weights; build"):
        load_consensus(folder, captioner)


def test_a_consensus_of_another_encoder_is_refused(folder: Path, captioner: Captioner) -> None:
    save_consensus(folder, make(channels=8), CARD)

    with pytest.raises(CheckpointError, match=rf"{FILE} in .* was made for another encoder"):
        load_consensus(folder, captioner)


@pytest.mark.parametrize("length", [0, 100, -400])
def test_a_damaged_file_is_refused_in_one_line(
    folder: Path, captioner: Captioner, length: int
) -> None:
    path = save_consensus(folder, make(), CARD)
    path.write_bytes(path.read_bytes()[:length])

    with pytest.raises(
        CheckpointError, match=r"truncated or damaged.*models\.consensus"
    ) as refused:
        load_consensus(folder, captioner)
    assert "\n" not in str(refused.value)


def test_a_flipped_byte_is_refused(folder: Path, captioner: Captioner) -> None:
    path = save_consensus(folder, make(), CARD)
    content = bytearray(path.read_bytes())
    at = content.index(b"basis.npy") + 400
    content[at] ^= 0xFF
    path.write_bytes(content)

    with pytest.raises(CheckpointError, match="truncated or damaged"):
        load_consensus(folder, captioner)


Arrays = dict[str, NDArray[Any]]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda arrays: arrays.pop("frequency"), "frequency"),
        (lambda arrays: arrays.pop("card"), "has no valid card"),
        (lambda arrays: arrays.update(card=np.array('{"images": 4}')), "has no valid card"),
        (lambda arrays: arrays.update(ngrams=arrays["ngrams"][::-1]), "not in order"),
        (lambda arrays: arrays.update(columns=arrays["columns"] + 99), "without a number"),
        (lambda arrays: arrays.update(norms=arrays["norms"] * np.nan), "not finite"),
        (lambda arrays: arrays.update(lengths=arrays["lengths"][1:]), "entries has the shape"),
        (lambda arrays: arrays.update(features=arrays["features"][:, :2]), "has the shape"),
    ],
)
def test_a_foreign_file_is_refused_in_one_line(
    folder: Path, captioner: Captioner, change: Callable[[Arrays], object], problem: str
) -> None:
    path = save_consensus(folder, make(), CARD)
    with np.load(path) as stored:
        arrays = dict(stored)
    change(arrays)
    np.savez_compressed(path, allow_pickle=False, **arrays)

    with pytest.raises(CheckpointError, match=problem) as refused:
        load_consensus(folder, captioner)
    assert "\n" not in str(refused.value)
    assert "build it again with python -m models.consensus" in str(refused.value)
