"""Methods that hide places, on a captioner that knows one thing: a patch of a certain look."""

from dataclasses import replace
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.explanations.method import Method
from inference.explanations.methods.occlusion import Occlusion
from inference.explanations.methods.rise import Rise
from inference.explanations.score import score
from inference.explanations.subject import Subject
from inference.explanations.target import Target
from inference.progress import finish
from models.calibration.tags import kinds
from models.captioner.captioner import Captioner
from models.checkpoint import save
from models.language.vocabulary import END
from tests.inference.conftest import CARD
from tests.inference.explanations.conftest import SIDE, TAGS

Picture = NDArray[np.uint8]

PATCH = 32
"""Pixels of its side."""
KIND = next(kind for kind in kinds() if len(kind.classes) == 1)
_EXAMPLES = 200
PLACES = [(0, 0), (32, 64), (96, 96), (80, 8)]


def _seen(random: np.random.Generator) -> NDArray[np.float32]:
    """Soft holes, through which most of it is seen or little."""
    cells = (random.random((3, 3)) < random.random()).astype(np.float32)
    return np.asarray(cv2.resize(cells, (PATCH, PATCH)), np.float32)


def with_patch(place: tuple[int, int], seen: float | NDArray[np.float32] = 1) -> Picture:
    """A dark picture with a light patch, of which so much is seen, [PATCH, PATCH]."""
    picture = np.full((SIDE, SIDE, 3), 60, np.float32)
    row, column = place
    picture[row : row + PATCH, column : column + PATCH] += 160 * np.asarray(seen)[..., None]
    return picture.astype(np.uint8)


@pytest.fixture(scope="module")
def knowing(captioner: Captioner, tmp_path_factory: pytest.TempPathFactory) -> CaptionModel:
    """A captioner whose tag `KIND` tells how much is seen of the patch."""
    made = Captioner(replace(captioner.config, image_size=SIDE, classes=1000), captioner.vocabulary)
    made.set_weights([*captioner.get_weights(), np.zeros((1280, 1000)), np.zeros(1000)])
    random = np.random.default_rng(3)
    seen = [_seen(random) for _ in range(_EXAMPLES)]
    pictures = np.stack(
        [with_patch(place, part) for place, part in zip(cycle(PLACES), seen, strict=False)]
    )
    # A few at a time: all at once would take gigabytes.
    parts = np.array_split(pictures.astype(np.float32), _EXAMPLES // 10)
    grids = np.concatenate([np.asarray(made.encoder(part)) for part in parts]).mean(axis=(1, 2))
    logits = [16 * part.mean() - 8 for part in seen]
    # Ridge regression, by as many examples as there are.
    mean = grids.mean(axis=0)
    products = (grids - mean) @ (grids - mean).T
    ridge = 1e-3 * np.trace(products) / _EXAMPLES * np.eye(_EXAMPLES)
    weights = (grids - mean).T @ np.linalg.solve(products + ridge, logits - np.mean(logits))
    (place,) = KIND.classes
    kernel, bias = np.zeros((1280, 1000)), np.zeros(1000)
    # The tagger takes off what the other classes have.
    kernel[:, place], bias[place] = weights, np.mean(logits) - mean @ weights + np.log(999)
    made.set_weights([*captioner.get_weights(), kernel, bias])
    folder: Path = tmp_path_factory.mktemp("captioner") / "knowing"
    save(folder, made, replace(CARD, tags=TAGS))
    return CaptionModel(folder)


@pytest.mark.parametrize("method", [Occlusion(cells=8), Rise()], ids=lambda each: each.name)
@pytest.mark.parametrize("place", PLACES)
def test_the_patch_is_found_where_it_is(
    knowing: CaptionModel, method: Method, place: tuple[int, int]
) -> None:
    subject = Subject(knowing, with_patch(place), (END,))
    values = finish(method.explain(subject, Target("tag", text=KIND.name))).values

    cell = SIDE // len(values)
    patch = np.zeros(values.shape, bool)
    patch[tuple(slice(start // cell, (start + PATCH) // cell) for start in place)] = True
    assert values[patch].mean() > values[~patch].mean() + 1.5 * values[~patch].std()


def test_occlusion_is_what_z_loses_under_the_windows(subject: Subject) -> None:
    target = Target("word", 1)
    values = finish(Occlusion(cells=2, window=1).explain(subject, target)).values

    z = score(subject, target)
    half = SIDE // 2
    for row in range(2):
        for column in range(2):
            hidden = subject.pixels.astype(np.float32)
            hidden[row * half :, column * half :][:half, :half] = subject.mean_colour
            grids = np.stack([subject.grid, subject.model.encode_pixels(hidden[None])[0]])
            whole, without = z.logits(grids)
            assert values[row, column] == pytest.approx(max(whole - without, 0), abs=1e-4)


def test_rise_is_the_same_each_time(subject: Subject) -> None:
    once, again = (finish(Rise(masks=6).explain(subject, Target("word", 0))).values for _ in "12")

    np.testing.assert_array_equal(once, again)
    assert once.shape == (SIDE, SIDE)
    assert once.min() == 0 < once.max()


def test_probabilities_are_those_that_captions_state(subject: Subject) -> None:
    caption = subject.model.caption(subject.image)
    stated = [word.prob for word in caption.words]
    grids = subject.grid[None]

    for index, prob in enumerate(stated):
        (given,) = score(subject, Target("word", index)).probabilities(grids)
        assert given == pytest.approx(prob, abs=1e-3)
    (given,) = score(subject, Target("caption")).probabilities(grids)
    assert given == pytest.approx(np.exp(np.log(stated).mean()), abs=2e-3)
