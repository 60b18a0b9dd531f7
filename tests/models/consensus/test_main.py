"""Tests of python -m models.consensus."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import evaluate
from models.captioner.beam_search import BeamConfig
from models.captioner.captioner import Captioner
from models.checkpoint import ModelCard, load, save
from models.consensus.__main__ import main
from models.consensus.storage import load_consensus
from models.datasets import open_dataset
from models.preprocessing import resize_to_square
from tests.models.conftest import MakeFlickr8k

BEAM = BeamConfig(width=3, max_length=6)
TEXTS = ("A red dog runs on grass .", "the dog's ball", "a ball on red grass", "grass runs a dog")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, make_flickr8k: MakeFlickr8k) -> list[Path]:
    def examples(kind: str, count: int, words: int) -> dict[str, list[str]]:
        return {f"{kind}{i}.png": [TEXTS[i % words], TEXTS[i % 3]] for i in range(count)}

    whole, more = (tmp_path_factory.mktemp("data") / name for name in ("whole", "more"))
    splits = {
        "train": examples("t", 20, 4),
        "dev": examples("d", 9, 4),
        "extra": examples("x", 3, 2),
    }
    make_flickr8k(whole, splits)
    make_flickr8k(more, {"train": examples("m", 5, 3), "dev": examples("n", 6, 2)})
    return [whole, more]


@pytest.fixture(scope="module")
def folder(captioner: Captioner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captioner")
    save(folder, captioner, ModelCard("made", "made up", "none", {}, BEAM))
    return folder


def evaluated(folder: Path, data: Path, *arguments: str) -> dict[str, Any]:
    out = folder / "report.json"
    chosen = ["--data", str(data), "--captioner", str(folder), "--out", str(out)]
    assert evaluate.main([*chosen, *arguments]) == 0
    report: dict[str, Any] = json.loads(out.read_text())
    out.unlink()
    return report


def test_a_consensus_is_built_tuned_and_used(
    folder: Path, data: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    options = [part for each in data for part in ("--data", str(each))]
    options += ["--captioner", str(folder), "--dimensions", "8", "--minimum-images", "1"]

    status = main(options)

    printed = capsys.readouterr().out.splitlines()
    assert status == 0
    with np.load(folder / "consensus.npz") as arrays:
        card = json.loads(str(arrays["card"]))
        assert arrays["features"].shape == (28, 8)
    assert card["images"] == 28
    # The figures are those of evaluating the captioner without and with it.
    chosen, first = evaluated(folder, data[0]), evaluated(folder, data[0], "--no-consensus")
    assert (chosen["consensus"], first["consensus"]) == (True, False)
    names = first["captions"].keys()
    changed = [name for name in names if chosen["captions"][name] != first["captions"][name]]
    dev, other = card["dev"]
    assert (dev["data"], dev["images"], other["data"], other["images"]) == ("whole", 9, "more", 6)
    assert changed
    assert dev["changed"] == pytest.approx(len(changed) / 9, abs=1e-4)
    for name in ("cider", "bleu_4"):
        assert dev[f"{name}_before"] == pytest.approx(first["figures"][name], abs=1e-3)
        assert dev[name] == pytest.approx(chosen["figures"][name], abs=1e-3)
    assert sum(each["cider"] - each["cider_before"] for each in card["dev"]) > 0
    assert printed[0].startswith("28 training images; ")
    assert printed[1].startswith("dev of whole, 9 images: CIDEr ")
    assert printed[2].startswith("dev of more, 6 images: CIDEr ")
    assert printed[3].startswith(f"written to {folder}/consensus.npz (")

    # The features are those of the training images, in the order of the splits.
    loaded, _ = load(folder)
    consensus = load_consensus(folder, loaded)
    assert consensus
    dataset = open_dataset(data[0])
    for index, name in ((3, "t3.png"), (21, "x1.png")):
        pixels = resize_to_square(dataset.image(name), 64)[None].astype(np.float32)
        pooled = np.asarray(loaded.encoder(pixels)).mean(axis=(1, 2))[0]
        images, shares = consensus.neighbours(pooled)
        assert images[shares.argmax()] == index


def test_errors_are_one_line(
    folder: Path,
    tmp_path: Path,
    make_flickr8k: MakeFlickr8k,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_flickr8k(tmp_path / "train", {"train": {"a.png": ["a dog"]}})
    make_flickr8k(tmp_path / "dev", {"dev": {"a.png": ["a dog"]}})
    for options, problem in (
        (["--data", str(tmp_path / "none")], "no such folder"),
        (["--data", str(tmp_path / "train")], "no dataset has a split 'dev' to tune on"),
        (["--data", str(tmp_path / "dev")], "the datasets have no split 'train' or 'extra'"),
        (["--data", str(tmp_path / "dev"), "--captioner", str(tmp_path)], "not a captioner"),
    ):
        assert main(["--captioner", str(folder), *options]) == 2
        printed = capsys.readouterr()
        assert printed.err.splitlines()[-1].startswith("consensus: ")
        assert problem in printed.err
        assert "Traceback" not in printed.err
