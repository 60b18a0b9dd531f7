"""Occlusion and RISE on a captioner whose only tag detects a light patch."""

from dataclasses import replace
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioners.lstm import LstmCaptionModel
from inference.explanations.method import Method
from inference.explanations.methods.occlusion import Occlusion
from inference.explanations.methods.rise import Rise
from inference.explanations.score import target_score
from inference.explanations.target import Target
from inference.progress import finish
from models.captioner.captioner import Captioner
from models.checkpoint import save
from models.language import END
from models.tag_kinds import tag_kinds
from tests.inference.conftest import CARD
from tests.inference.explanations.conftest import SIDE, TAGS
from tests.support.captioners.lstm import LstmCaptionedImage

Image = NDArray[np.uint8]

PATCH = 32
"""Side of the patch in pixels."""
KIND = next(kind for kind in tag_kinds() if len(kind.classes) == 1)
_EXAMPLES = 200
PLACES = [(0, 0), (32, 64), (96, 96), (80, 8)]


def _visibility(random: np.random.Generator) -> NDArray[np.float32]:
    """Return how much of each pixel of the patch is visible: a random soft mask."""
    cells = (random.random((3, 3)) < random.random()).astype(np.float32)
    return np.asarray(cv2.resize(cells, (PATCH, PATCH)), np.float32)


def with_patch(place: tuple[int, int], visible: float | NDArray[np.float32] = 1) -> Image:
    """Return a dark image with a light patch, masked by `visible`, [PATCH, PATCH]."""
    image = np.full((SIDE, SIDE, 3), 60, np.float32)
    row, column = place
    image[row : row + PATCH, column : column + PATCH] += 160 * np.asarray(visible)[..., None]
    return image.astype(np.uint8)


@pytest.fixture(scope="module")
def detector(captioner: Captioner, tmp_path_factory: pytest.TempPathFactory) -> LstmCaptionModel:
    """A captioner whose tag `KIND` measures how much of the patch is visible."""
    made = Captioner(replace(captioner.config, image_size=SIDE, classes=1000), captioner.vocabulary)
    made.set_weights([*captioner.get_weights(), np.zeros((1280, 1000)), np.zeros(1000)])
    random = np.random.default_rng(3)
    visible = [_visibility(random) for _ in range(_EXAMPLES)]
    images = np.stack(
        [with_patch(place, part) for place, part in zip(cycle(PLACES), visible, strict=False)]
    )
    # A few at a time: all at once would take gigabytes.
    parts = np.array_split(images.astype(np.float32), _EXAMPLES // 10)
    grids = np.concatenate([np.asarray(made.encoder(part)) for part in parts]).mean(axis=(1, 2))
    logits = [16 * part.mean() - 8 for part in visible]
    # Ridge regression in its dual form, as there are fewer examples than features.
    mean = grids.mean(axis=0)
    products = (grids - mean) @ (grids - mean).T
    ridge = 1e-3 * np.trace(products) / _EXAMPLES * np.eye(_EXAMPLES)
    weights = (grids - mean).T @ np.linalg.solve(products + ridge, logits - np.mean(logits))
    (place,) = KIND.classes
    kernel, bias = np.zeros((1280, 1000)), np.zeros(1000)
    # The tagger subtracts the log-sum-exp of the other classes.
    kernel[:, place], bias[place] = weights, np.mean(logits) - mean @ weights + np.log(999)
    made.set_weights([*captioner.get_weights(), kernel, bias])
    folder: Path = tmp_path_factory.mktemp("captioner") / "detector"
    save(folder, made, replace(CARD, tags=TAGS))
    return LstmCaptionModel(folder)


@pytest.mark.parametrize("method", [Occlusion(cells=8), Rise()], ids=lambda each: each.name)
@pytest.mark.parametrize("place", PLACES)
def test_the_map_highlights_the_patch(
    detector: LstmCaptionModel, method: Method, place: tuple[int, int]
) -> None:
    subject = LstmCaptionedImage(detector, with_patch(place), (END,))
    values = finish(method.explain(subject, Target("tag", text=KIND.name))).values

    cell = SIDE // len(values)
    patch = np.zeros(values.shape, bool)
    patch[tuple(slice(start // cell, (start + PATCH) // cell) for start in place)] = True
    assert values[patch].mean() > values[~patch].mean() + 1.5 * values[~patch].std()


def test_occlusion_is_the_drop_of_z_under_the_windows(subject: LstmCaptionedImage) -> None:
    target = Target("word", 1)
    values = finish(Occlusion(cells=2, window=1).explain(subject, target)).values

    z = target_score(subject, target)
    half = SIDE // 2
    for row in range(2):
        for column in range(2):
            hidden = subject.pixels.astype(np.float32)
            hidden[row * half :, column * half :][:half, :half] = subject.mean_colour
            grids = np.stack([subject.grid, subject.model.encode_pixels(hidden[None])[0]])
            whole, without = z.logits(grids)
            assert values[row, column] == pytest.approx(max(whole - without, 0), abs=1e-4)


def test_rise_is_deterministic(subject: LstmCaptionedImage) -> None:
    once, again = (finish(Rise(masks=6).explain(subject, Target("word", 0))).values for _ in "12")

    np.testing.assert_array_equal(once, again)
    assert once.shape == (SIDE, SIDE)
    assert once.min() == 0 < once.max()
