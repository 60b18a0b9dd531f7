import numpy as np
import pytest

from inference.explanations.map import Map
from inference.faithfulness.metrics import (
    CellGrid,
    blank,
    blur,
    centre_order,
    order_by_importance,
    random_order,
)

CELLS = CellGrid(5, 5, 50)


@pytest.mark.parametrize(("rows", "columns", "side"), [(9, 9, 260), (2, 3, 7), (1, 1, 5)])
def test_every_pixel_belongs_to_one_cell_of_about_the_same_size(
    rows: int, columns: int, side: int
) -> None:
    cells = CellGrid(rows, columns, side)

    masks = np.stack([cells.to_pixels(one)[..., 0] for one in np.eye(len(cells), dtype=bool)])

    assert (masks.sum(axis=0) == 1).all()
    sizes = [(mask.any(axis=1).sum(), mask.any(axis=0).sum()) for mask in masks]
    assert all(abs(height - side / rows) < 1 for height, _ in sizes)
    assert all(abs(width - side / columns) < 1 for _, width in sizes)


def test_cells_are_counted_row_by_row() -> None:
    cells = CellGrid(2, 2, 4)

    mask = cells.to_pixels(np.array([False, True, False, False]))[..., 0]

    assert mask[:2, 2:].all()
    assert mask.sum() == 4


def test_map_of_the_same_shape_is_unchanged() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)

    np.testing.assert_array_equal(CellGrid(2, 3, 30).resample(Map(values)), np.arange(6))


def test_finer_map_is_averaged_over_the_cells() -> None:
    values = np.random.default_rng(0).uniform(size=(36, 36)).astype(np.float32)

    resampled = CellGrid(3, 3, 60).resample(Map(values))

    means = values.reshape(3, 12, 3, 12).mean(axis=(1, 3)).reshape(-1)
    np.testing.assert_allclose(resampled, means, atol=1e-6)


def test_coarser_map_is_repeated_over_the_cells() -> None:
    values = np.array([[0, 0], [0, 1]], np.float32)

    resampled = CellGrid(4, 4, 16).resample(Map(values)).reshape(4, 4)

    np.testing.assert_allclose(resampled, np.kron(values, np.ones((2, 2))))


def test_blank_image_has_the_mean_colour() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2] = (200, 100, 50)

    assert (blank(image) == (100, 50, 25)).all()


def test_blur_keeps_colours_and_removes_details() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8)
    image[:, :30] //= 4

    blurry = blur(image).astype(float)

    assert blurry[:, :10].mean() < blurry[:, -10:].mean() / 2
    steps, sharp = (np.abs(np.diff(each, axis=0)).max() for each in (blurry, image.astype(float)))
    assert steps < 0.1 * sharp


def test_most_important_cells_come_first() -> None:
    values = np.array([0.1, 3.0, 2.0, -1.0])

    assert order_by_importance(values, np.random.default_rng(0)).tolist() == [1, 2, 0, 3]


def test_ties_are_in_random_order() -> None:
    values = np.array([0.0, 0.0, 0.0, 0.0, 5.0])
    random = np.random.default_rng(0)

    orders = {tuple(order_by_importance(values, random)) for _ in range(300)}

    assert len(orders) == 24
    assert {order[0] for order in orders} == {4}


def test_centre_comes_first_and_corners_last() -> None:
    order = centre_order(CELLS, np.random.default_rng(0)).tolist()

    assert order[0] == 12
    assert set(order[1:5]) == {7, 11, 13, 17}
    assert set(order[-4:]) == {0, 4, 20, 24}


def test_orders_contain_each_cell_once() -> None:
    random = np.random.default_rng(0)

    for order in (random_order(CELLS, random), centre_order(CELLS, random)):
        assert sorted(order) == list(range(25))
