import numpy as np

from inference.explanations.map import Map
from inference.explanations.rendering import COLOURS, MOST_OPAQUE, paint

PICTURE = np.full((90, 180, 3), 100, np.uint8)


def one_cell(row: int, column: int, value: float = 2.5) -> Map:
    values = np.zeros((9, 9), np.float32)
    values[row, column] = value
    return Map(values)


def test_a_map_of_zeros_leaves_the_picture_as_it_is() -> None:
    painted = paint(PICTURE, Map(np.zeros((9, 9), np.float32)))

    np.testing.assert_array_equal(painted, PICTURE)


def test_the_peak_has_the_last_colour_of_the_ramp_and_lies_in_its_cell() -> None:
    painted = paint(PICTURE, one_cell(2, 7))

    wanted = COLOURS[-1] * MOST_OPAQUE + 100 * (1 - MOST_OPAQUE)
    rows, columns = np.nonzero(np.abs(painted - wanted).max(axis=-1) < 12)
    assert (rows.min() >= 20) & (rows.max() < 30)
    assert (columns.min() >= 140) & (columns.max() < 160)
    np.testing.assert_allclose(painted[25, 150], wanted, atol=6)


def test_far_from_the_peak_the_picture_is_untouched() -> None:
    painted = paint(PICTURE, one_cell(2, 7))

    np.testing.assert_array_equal(painted[50:], PICTURE[50:])
    np.testing.assert_array_equal(painted[:, :100], PICTURE[:, :100])


def test_what_counts_is_the_share_of_the_peak() -> None:
    np.testing.assert_array_equal(
        paint(PICTURE, one_cell(4, 4, 1e-6)), paint(PICTURE, one_cell(4, 4, 1e6))
    )


def test_a_map_may_be_finer_than_the_picture() -> None:
    values = np.zeros((400, 400), np.float32)
    values[:200] = 1

    painted = paint(PICTURE, Map(values))

    assert (painted[:44] != 100).any(axis=-1).all()
    np.testing.assert_array_equal(painted[46:], PICTURE[46:])
