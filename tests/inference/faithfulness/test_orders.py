import numpy as np

from inference.faithfulness.cells import Cells, at_random, by_importance, from_centre

CELLS = Cells(5, 5, 50)


def test_the_most_important_come_first() -> None:
    values = np.array([0.1, 3.0, 2.0, -1.0])

    assert by_importance(values, np.random.default_rng(0)).tolist() == [1, 2, 0, 3]


def test_equal_cells_come_in_any_order() -> None:
    values = np.array([0.0, 0.0, 0.0, 0.0, 5.0])
    random = np.random.default_rng(0)

    orders = {tuple(by_importance(values, random)) for _ in range(300)}

    assert len(orders) == 24
    assert {order[0] for order in orders} == {4}


def test_the_centre_comes_first_and_the_corners_last() -> None:
    order = from_centre(CELLS, np.random.default_rng(0)).tolist()

    assert order[0] == 12
    assert set(order[1:5]) == {7, 11, 13, 17}
    assert set(order[-4:]) == {0, 4, 20, 24}


def test_every_order_has_every_cell_once() -> None:
    random = np.random.default_rng(0)

    for order in (at_random(CELLS, random), from_centre(CELLS, random)):
        assert sorted(order) == list(range(25))
