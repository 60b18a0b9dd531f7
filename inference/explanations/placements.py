"""The places that a region of a grid's cells can have: the same region, elsewhere."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.bool_]
"""A region: a mask of the cells, [rows, columns]."""

MAX_OVERLAP = 0.25
"""Share of its cells that a region elsewhere may have in common with another."""

_MIN_ADJACENCY = 0.75
"""Pairs of neighbouring cells that a place must keep, of those in the place that keeps most."""


def placements(region: Cells, most: int) -> list[Cells]:
    """Return the distinct places of a region, the region itself first.

    A place is the region shifted by whole cells, on a grid that wraps around at the edges, and
    possibly mirrored left to right, as photographs may be. Where the edges cut it up, its cells are
    more scattered: places that keep fewer than three quarters of the neighbouring pairs of cells
    are left out. A region that is cut up itself has only other such places. So each place of a
    region has the same places, which makes their comparison exact, and none is drawn at random.

    Args:
        region: At least one cell.
        most: If there would be more places, it is shifted by several cells at a time.
    """
    distinct = {each.tobytes(): each for each in _moved(region, most)}
    places = list(distinct.values())
    pairs = np.array([_adjacent_pairs(each) for each in places])
    whole = pairs >= _MIN_ADJACENCY * pairs.max()
    return [places[index] for index in np.flatnonzero(whole == whole[0])]


def is_elsewhere(places: Sequence[Cells]) -> NDArray[np.bool_]:
    """Return whether places overlap by `MAX_OVERLAP` at most: bool [places, places]."""
    cells = np.array([each.ravel() for each in places], np.float64)
    return np.asarray(cells @ cells.T <= MAX_OVERLAP * cells[0].sum())


def _moved(region: Cells, most: int) -> Iterator[Cells]:
    rows, columns = region.shape
    down_step, right_step = _steps(rows, columns, most // 2)
    for shape in (region, region[:, ::-1]):
        for down in range(0, rows, down_step):
            for right in range(0, columns, right_step):
                yield np.roll(shape, (down, right), axis=(0, 1))


def _steps(rows: int, columns: int, most: int) -> tuple[int, int]:
    """Return the steps, down and right, that give as many shifts as allowed, most evenly.

    They divide the sides of the grid: so shifts by them, one after the other, are such shifts.
    """
    steps = [
        (down, right)
        for down in range(1, rows + 1)
        for right in range(1, columns + 1)
        if rows % down == 0 == columns % right and rows * columns <= most * down * right
    ]
    return min(steps, key=lambda step: (step[0] * step[1], abs(step[0] - step[1])))


def _adjacent_pairs(region: Cells) -> int:
    below, beside = region[1:] & region[:-1], region[:, 1:] & region[:, :-1]
    return int(np.count_nonzero(below)) + int(np.count_nonzero(beside))
