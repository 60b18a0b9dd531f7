"""Tests of python -m models.train: results, resuming and error messages."""

import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from models import evaluate, train
from models.checkpoint import load
from models.language import SPECIAL_WORDS
from tests.models.conftest import MakeFlickr8k

# Dropout is off because a resumed run draws other dropout than an uninterrupted one.
CONFIG = """
train_splits = ["train", "extra"]
encoder = "efficientnet-lite-thin"
image_size = 64
pretrained = false
width = 32
embedding = 16
heads = 2
embedding_dropout = 0.0
grid_dropout = 0.0
output_dropout = 0.0
minimum_count = 1
length = 6
batch = 4
captions = 2
epochs = 2
average = 0.5
[beam]
width = 2
max_length = 6
"""
TEXTS = ("a red dog runs", "two boys swim", "the dog's ball", "a car on the left")


class Interrupted(io.StringIO):
    """A terminal that simulates Ctrl-C as soon as it shows a text."""

    def __init__(self, when: str) -> None:
        super().__init__()
        self._when = when

    def write(self, text: str) -> int:  # noqa: D102 (inherited)
        written = super().write(text)
        if self._when in self.getvalue():
            raise KeyboardInterrupt
        return written


class Observed(io.StringIO):
    """A terminal that copies a run's folder, as a kill leaves it, as soon as it shows a text."""

    def __init__(self, when: str, run: Path, copy: Path) -> None:
        super().__init__()
        self._when, self._run, self._copy = when, run, copy

    def write(self, text: str) -> int:  # noqa: D102 (inherited)
        written = super().write(text)
        if self._when in self.getvalue() and not self._copy.exists():
            shutil.copytree(self._run, self._copy)
        return written


@pytest.fixture
def data(tmp_path: Path, make_flickr8k: MakeFlickr8k) -> Path:
    folder = tmp_path / "data"
    make_flickr8k(
        folder, {"train": examples(8), "extra": examples(2, "e"), "dev": examples(1, "d")}
    )
    return folder


def examples(count: int, kind: str = "t") -> dict[str, tuple[str, str]]:
    return {f"{kind}{i}.png": (TEXTS[i % 4], TEXTS[(i + 1) % 4]) for i in range(count)}


@pytest.fixture
def config(tmp_path: Path, thin_encoder: str) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def training_state(run: Path) -> dict[str, Any]:
    with np.load(run / "training-state.npz") as arrays:
        return dict(arrays)


def history(run: Path) -> list[dict[str, float]]:
    epochs: list[dict[str, float]] = json.loads(str(training_state(run)["history"]))
    return epochs


def test_resumed_run_equals_an_uninterrupted_one(
    data: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    arguments = ["--data", str(data), "--config", str(config), "--run"]

    with contextlib.redirect_stdout(Observed("epoch 2 of", whole, stopped)) as terminal:
        assert train.main([*arguments, str(whole)]) == 0

    printed = terminal.getvalue()
    assert "epoch 1 of 2" in printed
    assert "epoch 2 of 2" in printed
    assert "resuming" not in printed
    assert f"best captioner: {whole / 'captioner'}" in printed
    assert np.asarray(cv2.imread(str(whole / "curve.png"))).shape == (540, 960, 3)
    captioner, card = load(whole / "captioner")
    assert (card.name, card.data, card.beam.width) == ("small", "10 captioned images", 2)
    # With one image CIDEr is 0, because each word is in every image. A captioner is saved anyway.
    assert card.figures["cider"] == 0
    assert captioner.config.encoder == "efficientnet-lite-thin"
    words = " ".join(TEXTS).replace("'s", " 's").split()
    assert set(captioner.vocabulary.words) == {*SPECIAL_WORDS, *words}
    state = training_state(whole)
    # Training continues with the weights, not with their average.
    assert np.abs(state["weights/0"] - state["average/0"]).max() > 1e-5

    assert len(history(stopped)) == 1
    features = {path: path.stat().st_mtime_ns for path in (tmp_path / "features").iterdir()}
    assert len(features) == 2, "of the train and the dev images, for both runs"
    state, kept = training_state(stopped), load(stopped / "captioner")[0].decoder.get_weights()
    for index, weights in enumerate(kept):
        # The saved captioner is the average of that epoch.
        np.testing.assert_array_equal(weights, state[f"average/{index}"].astype(np.float16))

    assert train.main([*arguments, str(stopped)]) == 0

    printed = capsys.readouterr().out
    assert "resuming after epoch 1" in printed
    assert "epoch 1 of" not in printed
    assert features == {path: path.stat().st_mtime_ns for path in features}, (
        "they are computed once"
    )
    assert [*map(pytest.approx, history(whole))] == history(stopped)
    resumed = training_state(stopped)
    assert resumed.keys() == training_state(whole).keys()
    for name, array in training_state(whole).items():
        if name != "history":
            np.testing.assert_allclose(resumed[name], array, atol=1e-5, err_msg=name)


def test_best_captioner_evaluates_to_the_figures_on_its_card(
    data: Path, config: Path, tmp_path: Path
) -> None:
    run, report = tmp_path / "run", tmp_path / "report.json"
    text = CONFIG.replace("epochs = 2", "epochs = 5\nlearning_rate = 0.03\nviews = 1")
    text = text.replace(', "extra"', "")
    config.write_text(text, encoding="utf-8")
    # With one image CIDEr is 0, so dev gets more.
    listed = data / "Flickr_8k.devImages.txt"
    listed.write_text(listed.read_text() + "e0.png\ne1.png\n", encoding="utf-8")

    assert train.main(["--data", str(data), "--config", str(config), "--run", str(run)]) == 0
    evaluate.main(
        ["--data", str(data), "--captioner", str(run / "captioner"), "--out", str(report)]
    )

    losses = [epoch["loss"] for epoch in history(run)]
    figures = load(run / "captioner")[1].figures
    assert losses[-1] < losses[0] - 0.4
    assert figures["cider"] == round(max(epoch["cider"] for epoch in history(run)), 4) > 0
    found = json.loads(report.read_text(encoding="utf-8"))["figures"]
    assert found == pytest.approx(figures, abs=1e-4)


def test_folder_of_another_run_is_refused(
    data: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(data), "--config", str(config), "--run", str(tmp_path / "run")]
    with contextlib.redirect_stdout(Interrupted("epoch 1 of")), pytest.raises(KeyboardInterrupt):
        train.main(arguments)

    # The grids have the same shape.
    config.write_text(CONFIG.replace("lite-thin", "lite0"), encoding="utf-8")
    assert train.main(arguments) == 2
    assert "holds a run with another encoder; choose another folder" in capsys.readouterr().err

    config.write_text(CONFIG, encoding="utf-8")
    captions = data / "Flickr8k.token.txt"
    captions.write_text(captions.read_text().replace("red", "green"), encoding="utf-8")
    assert train.main(arguments) == 2
    assert "holds a run with another dataset; choose another folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "changed", "problem"),
    [
        (CONFIG, ["--data", "{tmp}/nowhere"], "nowhere: no such folder"),
        (CONFIG, ["--data", "{tmp}"], "no dataset of a known layout"),
        (CONFIG, ["--config", "{tmp}/none.toml"], "none.toml"),
        ("epochs = none", [], "small.toml"),
        ("epochs = 0", [], "epochs"),
        (
            'train_splits = ["training"]',
            [],
            "no split 'training'; choose one of train, extra, dev",
        ),
        ('dev_split = "val"', [], "no split 'val'"),
        ('encoder = "resnet50"', [], "unknown encoder 'resnet50'"),
        ("heads = 3", [], "width 512 is not divisible by 3 heads"),
        (CONFIG, ["--run", "{tmp}/small.toml/run"], "small.toml/run"),
    ],
)
def test_error_is_reported_in_one_line(
    data: Path,
    config: Path,
    text: str,
    changed: list[str],
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config.write_text(text, encoding="utf-8")
    folder = data.parent
    arguments = ["--data", str(data), "--config", str(config), "--run", str(folder / "run")]

    assert train.main([*arguments, *(part.format(tmp=folder) for part in changed)]) == 2

    printed = capsys.readouterr()
    assert printed.err.startswith("train: ")
    assert problem in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
