from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioners.lstm import LstmCaptionModel
from inference.faithfulness.measurement import caption_image, cell_grid
from inference.faithfulness.metrics import (
    CellGrid,
    area_under_curve,
    blur,
    curve_shares,
    measure_curves,
    order_by_importance,
    random_order,
    word_probabilities,
)
from models.language import END
from models.word_kinds import word_kind
from tests.inference.conftest import SIDE, photographs
from tests.inference.faithfulness.conftest import planted


def test_area_is_the_trapezoid_rule() -> None:
    curve = np.linspace(1, 0, 10) ** 2

    by_hand = sum((curve[i] + curve[i + 1]) / 2 / 9 for i in range(9))

    assert area_under_curve(curve) == pytest.approx(by_hand)
    assert area_under_curve(np.ones((10, 3))).tolist() == [1, 1, 1]


def test_curves_match_a_loop_over_cells(saved: Path) -> None:
    model = LstmCaptionModel(saved)
    image = photographs(SIDE)[0]
    tokens = (4, 5, 8, END)
    cells = CellGrid(8, 8, SIDE)
    random = np.random.default_rng(0)
    orders = [random_order(cells, random) for _ in range(2)]

    found = measure_curves(model, image, tokens, orders, cells)

    mean = image.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    for order, each in zip(orders, found, strict=True):
        for step, share in enumerate(curve_shares()):
            deleted, inserted = image.copy(), blur(image)
            for cell in order[: round(share * 64)]:
                row, column = divmod(cell, 8)
                place = np.s_[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8]
                deleted[place] = mean
                inserted[place] = image[place]
            for curve, changed in ((each.deletion, deleted), (each.insertion, inserted)):
                rescored = model.rescore(model.encode([changed]), [tokens])
                np.testing.assert_allclose(
                    curve[step], np.exp(rescored.log_probs[0, :3]), atol=1e-5
                )


def test_probabilities_do_not_depend_on_the_batch(saved: Path) -> None:
    model = LstmCaptionModel(saved)
    images = [*photographs(SIDE)] * 12

    together = word_probabilities(model, images, (4, 5, END))

    assert together.shape == (72, 2)
    np.testing.assert_allclose(together[66:], together[:6], atol=1e-5)


def test_true_map_beats_random_and_inverted_map_does_not(
    shipped: LstmCaptionModel, cornered: NDArray[np.uint8]
) -> None:
    sample = caption_image(shipped, cornered)
    objects = [index for index, word in enumerate(sample.words) if word_kind(word) == "object"]
    cells = cell_grid(shipped)
    random = np.random.default_rng(0)
    orders = [order_by_importance(sign * planted(), random) for sign in (1, -1)]
    orders += [random_order(cells, random) for _ in range(4)]

    true, inverted, *others = measure_curves(shipped, cornered, sample.tokens, orders, cells)

    def deletion(index: int) -> list[float]:
        return [float(area_under_curve(each.deletion)[index]) for each in (true, inverted, *others)]

    def insertion(index: int) -> list[float]:
        return [
            float(area_under_curve(each.insertion)[index]) for each in (true, inverted, *others)
        ]

    first = objects[0]
    assert deletion(first)[0] < np.mean(deletion(first)[2:]) < deletion(first)[1]
    assert insertion(first)[0] > np.mean(insertion(first)[2:]) > insertion(first)[1]
