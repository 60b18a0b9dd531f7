"""The shipped captioner, and an image with an object at a known place."""

from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioners.lstm import LstmCaptionModel
from inference.captioners.opening import open_captioner
from models.catalogue import SHIPPED_FOLDER
from stream.sources.demo import PHOTOGRAPHS

CORNER = 5
"""Rows and columns of the grid that the object fills, in the lower right corner."""


@pytest.fixture(autouse=True)
def _open_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all runs of the command line share a captioner, which takes five seconds to compile."""
    monkeypatch.setattr("inference.faithfulness.__main__.open_captioner", _open)


_open = cache(open_captioner)


@pytest.fixture(scope="session")
def shipped() -> LstmCaptionModel:
    return LstmCaptionModel(SHIPPED_FOLDER)


@pytest.fixture(scope="session")
def cornered(shipped: LstmCaptionModel) -> NDArray[np.uint8]:
    """A tennis player in the lower right corner of a grey wall."""
    side = shipped.image_size
    player = np.asarray(cv2.imread(str(PHOTOGRAPHS / "tennis.webp")))
    size = side * CORNER // 9
    image = np.full((side, side, 3), 128, np.uint8)
    image[-size:, -size:] = cv2.resize(player, (size, size))[..., ::-1]
    return image


def planted() -> NDArray[np.float64]:
    """Return the map of that corner, [81]."""
    values = np.zeros((9, 9))
    values[-CORNER:, -CORNER:] = 1
    return values.reshape(-1)
