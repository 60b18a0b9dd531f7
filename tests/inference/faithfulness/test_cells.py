import numpy as np
import pytest

from inference.explanations.map import Map
from inference.faithfulness.cells import Cells, blank, blurred


@pytest.mark.parametrize(("rows", "columns", "side"), [(9, 9, 260), (2, 3, 7), (1, 1, 5)])
def test_every_pixel_belongs_to_one_cell_of_about_the_same_size(
    rows: int, columns: int, side: int
) -> None:
    cells = Cells(rows, columns, side)

    masks = np.stack([cells.pixels(one)[..., 0] for one in np.eye(len(cells), dtype=bool)])

    assert (masks.sum(axis=0) == 1).all()
    sizes = [(mask.any(axis=1).sum(), mask.any(axis=0).sum()) for mask in masks]
    assert all(abs(height - side / rows) < 1 for height, _ in sizes)
    assert all(abs(width - side / columns) < 1 for _, width in sizes)


def test_cells_are_counted_row_by_row() -> None:
    cells = Cells(2, 2, 4)

    mask = cells.pixels(np.array([False, True, False, False]))[..., 0]

    assert mask[:2, 2:].all()
    assert mask.sum() == 4


def test_a_map_of_the_grids_shape_is_read_as_it_is() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)

    np.testing.assert_array_equal(Cells(2, 3, 30).read(Map(values)), np.arange(6))


def test_a_finer_map_is_read_as_the_means_of_the_cells() -> None:
    values = np.random.default_rng(0).uniform(size=(36, 36)).astype(np.float32)

    read = Cells(3, 3, 60).read(Map(values))

    means = values.reshape(3, 12, 3, 12).mean(axis=(1, 3)).reshape(-1)
    np.testing.assert_allclose(read, means, atol=1e-6)


def test_a_coarser_map_keeps_its_place() -> None:
    values = np.array([[0, 0], [0, 1]], np.float32)

    read = Cells(4, 4, 16).read(Map(values)).reshape(4, 4)

    np.testing.assert_allclose(read, np.kron(values, np.ones((2, 2))))


def test_a_blank_picture_has_the_mean_colour() -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[:2] = (200, 100, 50)

    assert (blank(picture) == (100, 50, 25)).all()


def test_a_blurred_picture_keeps_its_colours_and_loses_what_is_in_it() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8)
    picture[:, :30] //= 4

    blurry = blurred(picture).astype(float)

    assert blurry[:, :10].mean() < blurry[:, -10:].mean() / 2
    steps, sharp = (np.abs(np.diff(each, axis=0)).max() for each in (blurry, picture.astype(float)))
    assert steps < 0.1 * sharp
