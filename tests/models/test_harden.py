"""Tests of python -m models.harden, and of attacks on captions."""

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models import harden
from models.attacks import noise
from models.captioner.beam_search import BeamConfig
from models.captioner.captioner import Captioner
from models.captioner.teacher_forcing import teacher_forced_captions
from models.checkpoint import ModelCard, load, save
from models.datasets import open_dataset
from models.hardening.caption_attack import (
    AttackStrength,
    CaptionAttack,
    GridAttacker,
    load_pixels,
)
from models.hardening.hardened_decoder import load_hardened, read_hardened_card
from tests.models.conftest import MakeFlickr8k

BEAM = BeamConfig(width=2, max_length=4)
EPSILON = 4.0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, make_flickr8k: MakeFlickr8k) -> Path:
    def examples(kind: str, count: int) -> dict[str, tuple[str, str]]:
        return {f"{kind}{i}.png": ("a red dog runs", "a dog's ball") for i in range(count)}

    folder = tmp_path_factory.mktemp("data") / "flickr8k"
    make_flickr8k(folder, {"train": examples("t", 24), "dev": examples("d", 8)})
    return folder


@pytest.fixture
def folder(tmp_path: Path, captioner: Captioner) -> Path:
    save(tmp_path / "captioner", captioner, ModelCard("made", "made up", "none", {}, BEAM))
    return tmp_path / "captioner"


def run(data: Path, folder: Path, *arguments: str) -> int:
    defaults: dict[str, object] = {
        "data": data,
        "captioner": folder,
        "run": folder.parent / "run",
        "epochs": 12,
    }
    defaults |= {"least": EPSILON / 2, "most": EPSILON, "epsilon": EPSILON, "learning-rate": 0.003}
    chosen = [text for name, value in defaults.items() for text in (f"--{name}", str(value))]
    return harden.main([*chosen, *arguments])


def log_probs(captioner: Captioner, grids: object, tokens: object) -> NDArray[np.float32]:
    """Return the log-probabilities of whole captions, [B]."""
    forced = teacher_forced_captions(captioner.decoder, grids, tokens, BEAM)
    return np.asarray(np.asarray(forced.search_log_probs, np.float32).sum(axis=1))


def test_attack_lowers_the_captions_probability_and_noise_does_not(
    data: Path, captioner: Captioner
) -> None:
    dataset = open_dataset(data)
    pixels = load_pixels(dataset, dataset.examples("train")[:4], 64)
    tokens = np.array([[4, 5, 10, 2, 0, 0]] * 3 + [[4, 11, 5, 8, 9, 2]], np.int32)

    attacked = CaptionAttack(captioner).perturb(pixels, tokens, EPSILON, 3)

    assert np.abs(attacked).max() <= EPSILON
    random = noise(np.random.default_rng(0), pixels, EPSILON, "linf")
    clean, under_attack, with_noise = (
        log_probs(captioner, captioner.encoder(each), tokens)
        for each in (pixels, pixels + attacked, pixels + random)
    )
    assert np.mean(clean - under_attack) > 5 * np.mean(np.abs(with_noise - clean))


def test_attacked_grids_are_reused(data: Path, captioner: Captioner, tmp_path: Path) -> None:
    dataset = open_dataset(data)
    examples = dataset.examples("train")[:3]
    attacker = GridAttacker(captioner, dataset, BEAM, AttackStrength(1, 2, 1))

    first = attacker.attacked_grids(examples, tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = attacker.attacked_grids(examples, tmp_path)

    assert stamps == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert first.clean.shape == (3, *captioner.encoder.output_shape[1:])
    assert np.abs(first.clean - first.attacked).max() > 0


@pytest.fixture(scope="module")
def hardened_folder(
    data: Path, captioner: Captioner, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a hardened captioner."""
    folder = tmp_path_factory.mktemp("hardened") / "captioner"
    save(folder, captioner, ModelCard("made", "made up", "none", {}, BEAM))
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert run(data, folder) == 0
    assert "written to" in printed.getvalue()
    return folder


def test_hardened_decoder_changes_fewer_captions(hardened_folder: Path) -> None:
    folder = hardened_folder

    card = read_hardened_card(folder)
    assert card
    assert card.pictures == 24
    against_plain = next(row for row in card.robustness if row.attacked == "plain")
    assert against_plain.changed_hardened < against_plain.changed_plain
    captioner, _ = load(folder)
    hardened = load_hardened(folder, captioner)
    assert hardened
    assert not np.array_equal(hardened.get_weights()[0], captioner.decoder.get_weights()[0])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--least", "5"], "--least and --most must be grey levels"),
        (["--steps", "0"], "--steps must be 1 or more"),
        (["--data", "/nowhere"], "/nowhere"),
    ],
)
def test_error_is_reported_in_one_line(
    data: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    problem: str,
) -> None:
    assert run(data, folder, *arguments) == 2
    printed = capsys.readouterr().err
    assert problem in printed
    assert printed.count("\n") == 1
    assert read_hardened_card(folder) is None


def test_attacks_of_another_strength_are_not_reused(
    data: Path, hardened_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(data, hardened_folder, "--steps", "1") == 2
    assert "holds attacks of a run with other settings" in capsys.readouterr().err
