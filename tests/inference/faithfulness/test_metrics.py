from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.faithfulness.cells import Cells, at_random, blurred, by_importance
from inference.faithfulness.curves import area, curves, probabilities, shares
from inference.faithfulness.measurement import caption, cells_of
from inference.word_kinds import word_kind
from models.language.vocabulary import END
from tests.inference.conftest import SIDE, photographs
from tests.inference.faithfulness.conftest import planted


def test_the_area_is_that_of_the_trapezoids() -> None:
    curve = np.linspace(1, 0, 10) ** 2

    by_hand = sum((curve[i] + curve[i + 1]) / 2 / 9 for i in range(9))

    assert area(curve) == pytest.approx(by_hand)
    assert area(np.ones((10, 3))).tolist() == [1, 1, 1]


def test_curves_are_what_changing_the_picture_cell_by_cell_gives(saved: Path) -> None:
    """Recomputed in the plainest way: a loop over the cells, one picture at a time."""
    model = CaptionModel(saved)
    picture = photographs(SIDE)[0]
    tokens = (4, 5, 8, END)
    cells = Cells(8, 8, SIDE)
    random = np.random.default_rng(0)
    orders = [at_random(cells, random) for _ in range(2)]

    found = curves(model, picture, tokens, orders, cells)

    mean = picture.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    for order, each in zip(orders, found, strict=True):
        for step, share in enumerate(shares()):
            deleted, inserted = picture.copy(), blurred(picture)
            for cell in order[: round(share * 64)]:
                row, column = divmod(cell, 8)
                place = np.s_[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8]
                deleted[place] = mean
                inserted[place] = picture[place]
            for curve, changed in ((each.deletion, deleted), (each.insertion, inserted)):
                told = model.retell(model.encode([changed]), [tokens])
                np.testing.assert_allclose(curve[step], np.exp(told.log_probs[0, :3]), atol=1e-5)


def test_probabilities_do_not_depend_on_how_many_are_told_together(saved: Path) -> None:
    model = CaptionModel(saved)
    pictures = [*photographs(SIDE)] * 12

    together = probabilities(model, pictures, (4, 5, END))

    assert together.shape == (72, 2)
    np.testing.assert_allclose(together[66:], together[:6], atol=1e-5)


def test_a_true_map_beats_random_and_a_false_one_loses(
    shipped: CaptionModel, cornered: NDArray[np.uint8]
) -> None:
    said = caption(shipped, cornered)
    objects = [index for index, word in enumerate(said.words) if word_kind(word) == "object"]
    cells = cells_of(shipped)
    random = np.random.default_rng(0)
    orders = [by_importance(sign * planted(), random) for sign in (1, -1)]
    orders += [at_random(cells, random) for _ in range(4)]

    true, false, *others = curves(shipped, cornered, said.tokens, orders, cells)

    def deletion(index: int) -> list[float]:
        return [float(area(each.deletion)[index]) for each in (true, false, *others)]

    def insertion(index: int) -> list[float]:
        return [float(area(each.insertion)[index]) for each in (true, false, *others)]

    first = objects[0]
    assert deletion(first)[0] < np.mean(deletion(first)[2:]) < deletion(first)[1]
    assert insertion(first)[0] > np.mean(insertion(first)[2:]) > insertion(first)[1]
