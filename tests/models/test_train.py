"""Tests of training, by its command line."""

import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from models.release import load
from models.train import main
from tests.models.conftest import MakeFlickr8k

CONFIG = """
encoder = "efficientnet-lite0"
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
TEXTS = ["a red dog runs", "two boys swim", "the dog's ball", "a car on the left"]


class Interrupted(io.StringIO):
    """A terminal at which somebody presses Ctrl-C as soon as it shows a text."""

    def __init__(self, when: str) -> None:
        super().__init__()
        self._when = when

    def write(self, text: str) -> int:
        written = super().write(text)
        if self._when in self.getvalue():
            raise KeyboardInterrupt
        return written


@pytest.fixture
def data(tmp_path: Path, make_flickr8k: MakeFlickr8k) -> Path:
    folder = tmp_path / "data"

    def examples(kind: str, count: int) -> dict[str, list[str]]:
        return {f"{kind}{i}.png": [TEXTS[i % 4], TEXTS[(i + 1) % 4]] for i in range(count)}

    splits = {"train": examples("t", 8), "extra": examples("e", 2), "dev": examples("d", 3)}
    make_flickr8k(folder, splits)
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def checkpoint(run: Path) -> dict[str, Any]:
    with np.load(run / "checkpoint.npz") as arrays:
        return dict(arrays)


def history(run: Path) -> list[dict[str, float]]:
    epochs: list[dict[str, float]] = json.loads(str(checkpoint(run)["history"]))
    return epochs


def test_run_is_trained_stopped_and_gone_on_with(
    data: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    arguments = ["--data", str(data), "--config", str(config), "--run"]

    assert main([*arguments, str(whole)]) == 0

    printed = capsys.readouterr().out
    assert "epoch 1 of 2" in printed
    assert "epoch 2 of 2" in printed
    assert "resuming" not in printed
    assert f"the best captioner is in {whole / 'captioner'}" in printed
    assert np.asarray(cv2.imread(str(whole / "curve.png"))).shape == (540, 960, 3)
    captioner, card = load(whole / "captioner")
    assert card.name == "small"
    assert card.data == "10 captioned photographs"
    assert card.beam.width == 2
    assert card.figures["cider"] == round(max(epoch["cider"] for epoch in history(whole)), 4)
    assert set(captioner.vocabulary.words[4:]) == set(
        ["a", "red", "dog", "runs", "two", "boys", "swim", "the", "'s", "ball", "car", "on", "left"]
    )

    with contextlib.redirect_stdout(Interrupted("epoch 2 of")), pytest.raises(KeyboardInterrupt):
        main([*arguments, str(stopped)])
    assert len(history(stopped)) == 1
    shutil.rmtree(data / "Images")  # The grids are there already.
    (data / "Images").mkdir()
    capsys.readouterr()

    # pictures are checked to exist, none is read
    for name in (
        [f"t{i}.png" for i in range(8)] + ["e0.png", "e1.png"] + [f"d{i}.png" for i in range(3)]
    ):
        (data / "Images" / name).touch()
    assert main([*arguments, str(stopped)]) == 0

    printed = capsys.readouterr().out
    assert "resuming after epoch 1" in printed
    assert "epoch 1 of" not in printed
    assert history(stopped) == pytest.approx(history(whole))
    resumed = checkpoint(stopped)
    for name, array in checkpoint(whole).items():
        if name != "history":
            np.testing.assert_allclose(resumed[name], array, atol=1e-5, err_msg=name)
