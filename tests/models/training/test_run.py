"""Tests of a run's learning curve."""

from pathlib import Path

import cv2
import numpy as np

from models.training.run import draw_curve

EPOCHS = [
    {"loss": 5.0, "cider": 0.1, "bleu_4": 0.02},
    {"loss": 4.0, "cider": 0.3, "bleu_4": 0.1},
    {"loss": 3.5, "cider": 0.5, "bleu_4": 0.2},
]


def test_curve_is_drawn_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "curve.png"
    images = []
    for epochs in (1, 3):
        draw_curve(path, EPOCHS[:epochs])
        images.append(np.asarray(cv2.imread(str(path))))

    assert images[0].shape == images[1].shape == (540, 960, 3)
    # Three epochs are joined by lines in three colours; one epoch has none.
    for rgb in ((0x66, 0x66, 0x66), (0x0B, 0x6E, 0x4F), (0xC0, 0x5A, 0x00)):
        coloured = [int((image[..., ::-1] == rgb).all(axis=-1).sum()) for image in images]
        assert coloured[1] > coloured[0] + 300
    assert [file.name for file in tmp_path.iterdir()] == ["curve.png"]


def test_curve_changes_with_the_figures(tmp_path: Path) -> None:
    for name, cider in (("low.png", 0.1), ("high.png", 0.9)):
        draw_curve(tmp_path / name, [EPOCHS[0], {**EPOCHS[1], "cider": cider}])

    low, high = (np.asarray(cv2.imread(str(tmp_path / name))) for name in ("low.png", "high.png"))
    assert not np.array_equal(low, high)
