"""Tests of calibrating a captioner, by its command line."""

import json
from pathlib import Path

import pytest

from models import calibrate
from models.captioner.beam_search import BeamConfig
from models.captioner.captioner import Captioner
from models.checkpoint import Card, load, save
from tests.models.conftest import MakeFlickr8k

TEXTS = ("a red dog runs", "a ball on grass", "the dog's ball", "a dog on red grass")


@pytest.fixture
def data(tmp_path: Path, make_flickr8k: MakeFlickr8k) -> Path:
    folder = tmp_path / "data"
    pictures = {f"{i}.png": (TEXTS[i % 4], TEXTS[(i + 1) % 4]) for i in range(40)}
    make_flickr8k(folder, {"dev": pictures})
    return folder


@pytest.fixture
def folder(tmp_path: Path, captioner: Captioner) -> Path:
    card = Card("small", "made up", "none", {"cider": 0.1}, BeamConfig(width=2, max_length=6))
    save(tmp_path / "captioner", captioner, card)
    return tmp_path / "captioner"


def test_doubt_is_written_into_the_card_and_nothing_else_changes(
    data: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, card = load(folder)
    out = tmp_path / "figures.json"

    arguments = ["--data", str(data), "--captioner", str(folder), "--out", str(out)]
    assert calibrate.main(arguments) == 0

    after, calibrated = load(folder)
    assert calibrated.doubt is not None
    assert 0.5 <= calibrated.doubt.temperature <= 4
    assert (calibrated.name, calibrated.figures) == (card.name, card.figures)
    for a, b in zip(before.get_weights(), after.get_weights(), strict=True):
        assert (a == b).all()
    figures = json.loads(out.read_text(encoding="utf-8"))
    # A decoder of random weights is sure of the wrong words: to be told to be less so helps it.
    assert calibrated.doubt.temperature > 1.2
    assert figures["words_ece"] < figures["words_ece_before"] - 0.02
    assert 0 <= figures["confidence_ece"] <= 1
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*figures, "temperature", "threshold"))


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (["--data", "{tmp}/nowhere"], "nowhere: no such folder"),
        (["--captioner", "{tmp}/data"], "config.json is missing"),
        (["--split", "val"], "no split 'val'"),
    ],
)
def test_mistake_is_told_in_a_line(
    data: Path,
    folder: Path,
    tmp_path: Path,
    changed: list[str],
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--data", str(data), "--captioner", str(folder)]

    changed = [part.format(tmp=tmp_path) for part in changed]
    assert calibrate.main([*arguments, *changed]) == 2

    printed = capsys.readouterr().err
    assert printed.startswith("calibrate: ")
    assert problem in printed
    assert printed.count("\n") == 1
