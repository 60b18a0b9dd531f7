"""Tests of a captioner's folder."""

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.beam_search import BeamConfig
from models.captioner import Captioner
from models.release import Card, ReleaseError, load, read_card, save

CARD = Card(
    name="small",
    data="nothing at all",
    licence="Apache-2.0",
    figures={"cider": 0.5, "bleu_4": 0.25},
    beam=BeamConfig(width=2, max_length=7, length_power=0.9, alternatives=3),
)


@pytest.fixture(scope="module")
def saved(captioner: Captioner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "new" / "small"
    save(folder, captioner, CARD)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(saved, tmp_path / "small"))


def test_captioner_comes_back_in_half_precision(captioner: Captioner, saved: Path) -> None:
    loaded, card = load(saved)

    assert card == read_card(saved) == CARD
    assert loaded.config == captioner.config
    assert loaded.vocabulary.words == captioner.vocabulary.words
    for part, made in (("encoder", captioner.encoder), ("decoder", captioner.decoder)):
        weights = getattr(loaded, part).get_weights()
        for got, original in zip(weights, made.get_weights(), strict=True):
            assert got.dtype == np.float32
            np.testing.assert_array_equal(got, original.astype(np.float16))


def test_captioner_that_came_back_says_the_same(captioner: Captioner, saved: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.float32)
    words = np.full((1, 1, 4), 5)

    logits = [
        np.asarray(made.decoder((made.encoder(pixels), words)))
        for made in (captioner, load(saved)[0])
    ]

    # Half precision has 11 bits, so a weight is off by a 2000th at most.
    assert np.abs(logits[0] - logits[1]).max() < 0.02 * np.ptp(logits[0])


def test_released_files_are_small_and_plain(captioner: Captioner, saved: Path) -> None:
    files = {path.name: path.stat().st_size for path in saved.iterdir()}

    assert files.keys() == {"config.json", "vocabulary.txt", "weights.npz"}
    parameters = captioner.encoder.count_params() + captioner.decoder.count_params()
    assert files["weights.npz"] < 2.1 * parameters
    assert json.loads((saved / "config.json").read_text())["card"]["name"] == "small"


def change_config(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "config.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def change_arrays(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "weights.npz"
    with np.load(path) as stored:
        arrays: dict[str, Any] = dict(stored)
    change(arrays)
    np.savez(path, **arrays)


def replace_text(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def truncate(path: Path, size: int) -> None:
    content = path.read_bytes()
    assert size < len(content)
    path.write_bytes(content[:size])


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0x10
    path.write_bytes(content)


def one_array() -> bytes:
    stored = io.BytesIO()
    np.save(stored, np.zeros(3))
    return stored.getvalue()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "config.json"),
    "config that is no JSON": (lambda f: truncate(f / "config.json", 40), "holds no captioner"),
    "config that is a list": (
        lambda f: (f / "config.json").write_text("[]"),
        "holds no captioner",
    ),
    "no card": (lambda f: change_config(f, lambda v: v.pop("card")), "card"),
    "card without a name": (lambda f: change_config(f, lambda v: v["card"].pop("name")), "name"),
    "beam of no width": (
        lambda f: change_config(f, lambda v: v["card"]["beam"].update(width=0)),
        "a beam search needs",
    ),
    "no shape": (lambda f: change_config(f, lambda v: v.pop("captioner")), "captioner"),
    "unknown encoder": (
        lambda f: change_config(f, lambda v: v["captioner"].update(encoder="resnet50")),
        "no encoder is called 'resnet50'",
    ),
    "another encoder": (
        lambda f: change_config(f, lambda v: v["captioner"].update(encoder="efficientnet-lite1")),
        "weights.npz and the configuration differ in",
    ),
    "picture's size as text": (
        lambda f: change_config(f, lambda v: v["captioner"].update(image_size="64")),
        "cannot be loaded",
    ),
    "another width": (
        lambda f: change_config(f, lambda v: v["captioner"]["decoder"].update(width=64)),
        r"as \(1280, 32\), the configuration asks for \(1280, 64\)",
    ),
    "width as text": (
        lambda f: change_config(f, lambda v: v["captioner"]["decoder"].update(width="32")),
        "holds no captioner",
    ),
    "heads that do not divide the width": (
        lambda f: change_config(f, lambda v: v["captioner"]["decoder"].update(heads=3)),
        "width 32 does not divide into 3 heads",
    ),
    "no vocabulary": (lambda f: (f / "vocabulary.txt").unlink(), "vocabulary.txt"),
    "a word more": (
        lambda f: replace_text(f / "vocabulary.txt", "dog\n", "dog\nzebra\n"),
        "12 words, the vocabulary has 13",
    ),
    "a word less": (
        lambda f: replace_text(f / "vocabulary.txt", "dog\n", ""),
        "12 words, the vocabulary has 11",
    ),
    "vocabulary that is no text": (
        lambda f: (f / "vocabulary.txt").write_bytes(b"\xff\xfe"),
        "cannot be loaded",
    ),
    "no weights": (lambda f: (f / "weights.npz").unlink(), "weights.npz"),
    "empty weights": (lambda f: truncate(f / "weights.npz", 0), "cannot be loaded"),
    "weights cut off": (lambda f: truncate(f / "weights.npz", 1_000_000), "cannot be loaded"),
    "weights that are no archive": (
        lambda f: (f / "weights.npz").write_bytes(b"version https://git-lfs"),
        "cannot be loaded",
    ),
    "one array for all weights": (
        lambda f: (f / "weights.npz").write_bytes(one_array()),
        "cannot be loaded",
    ),
    "a flipped bit": (
        lambda f: flip(f / "weights.npz", 3_000_000),
        "cannot be loaded",
    ),
    "an array less": (
        lambda f: change_arrays(f, lambda a: a.pop("decoder/lstm/bias")),
        "differ in decoder/lstm/bias",
    ),
    "an array more": (
        lambda f: change_arrays(f, lambda a: a.update({"decoder/extra": np.zeros(3)})),
        "differ in decoder/extra",
    ),
    "an array of text": (
        lambda f: change_arrays(
            f, lambda a: a.update({"decoder/lstm/bias": np.full(128, "three")})
        ),
        "cannot be loaded",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_folder_is_refused(folder: Path, damage: str) -> None:
    cause, problem = DAMAGES[damage]
    cause(folder)

    with pytest.raises(ReleaseError, match=problem) as refused:
        load(folder)
    assert str(folder) in str(refused.value)


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="nowhere holds no captioner"):
        load(tmp_path / "nowhere")
    with pytest.raises(ReleaseError, match="nowhere holds no captioner"):
        read_card(tmp_path / "nowhere")


def test_card_can_be_read_without_the_weights(folder: Path) -> None:
    (folder / "weights.npz").unlink()

    assert read_card(folder) == CARD


def test_saving_again_replaces(captioner: Captioner, folder: Path) -> None:
    save(folder, captioner, replace(CARD, name="newer"))

    assert load(folder)[1].name == "newer"
