import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from inference.explanations.placements import Cells, is_elsewhere, placements

ALL = 10_000


def regions(most: int = 9) -> st.SearchStrategy[Cells]:
    """Any region of up to a third of a grid."""

    def region(shape: tuple[int, int], share: float, seed: int) -> Cells:
        rows, columns = shape
        cells = np.zeros(rows * columns, bool)
        count = max(1, round(share * len(cells)))
        cells[np.random.default_rng(seed).permutation(len(cells))[:count]] = True
        return cells.reshape(rows, columns)

    sides = st.tuples(st.integers(2, most), st.integers(2, most))
    return st.builds(region, sides, st.floats(0.01, 0.33), st.integers(0, 99))


def square(rows: int, columns: int, side: int, at: tuple[int, int] = (0, 0)) -> Cells:
    cells = np.zeros((rows, columns), bool)
    cells[:side, :side] = True
    return np.roll(cells, at, axis=(0, 1))


@settings(max_examples=40, deadline=None)
@given(regions(), st.integers(2, 60))
def test_places_have_the_size_and_the_shape_of_the_region(region: Cells, most: int) -> None:
    places = placements(region, most)

    assert np.array_equal(places[0], region)
    assert len(places) <= most
    assert len({each.tobytes() for each in places}) == len(places)
    assert {int(each.sum()) for each in places} == {int(region.sum())}
    # On a grid without edges, the distances between the cells are the same.
    spectrum = np.abs(np.fft.fft2(region))
    for each in places:
        found = np.abs(np.fft.fft2(each))
        mirrored = np.abs(np.fft.fft2(each[:, ::-1]))
        assert min(np.abs(found - spectrum).max(), np.abs(mirrored - spectrum).max()) < 1e-6
    again = placements(region, most)
    assert all(map(np.array_equal, places, again))


@settings(max_examples=25, deadline=None)
@given(regions(8), st.integers(0, 99), st.sampled_from((16, 40, ALL)))
def test_each_place_of_a_region_has_the_same_places(region: Cells, choice: int, most: int) -> None:
    places = placements(region, most)
    other = placements(places[choice % len(places)], most)

    assert {each.tobytes() for each in places} == {each.tobytes() for each in other}


def test_a_region_is_not_compared_with_places_where_the_edges_scatter_it() -> None:
    places = placements(square(9, 9, 4), ALL)
    pieces = [ndimage.label(each)[1] for each in places]

    # Nowhere in four corners; in two halves, or whole.
    assert set(pieces) == {1, 2}
    assert pieces.count(1) == 36
    assert len(places) == 72
    scattered = placements(square(9, 9, 4, (7, 7)), ALL)
    assert {ndimage.label(each)[1] for each in scattered} == {4}


@settings(max_examples=30, deadline=None)
@given(regions())
def test_elsewhere_is_a_quarter_of_common_cells_at_most(region: Cells) -> None:
    places = placements(region, 40)
    apart = is_elsewhere(places)

    for one, row in zip(places, apart, strict=True):
        for other, is_apart in zip(places, row, strict=True):
            common = len(
                {*zip(*np.nonzero(one), strict=True)} & {*zip(*np.nonzero(other), strict=True)}
            )
            assert is_apart == (common <= 0.25 * region.sum())


@pytest.mark.parametrize("at", [(2, 2), (0, 5), (6, 1)])
def test_a_fifth_of_the_shipped_grid_has_more_than_40_places_elsewhere(at: tuple[int, int]) -> None:
    places = placements(square(9, 9, 4, at), 164)

    assert is_elsewhere(places)[0].sum() > 40


def test_a_fine_grid_has_as_many_places_as_allowed_evenly() -> None:
    dot = square(24, 24, 1)
    places = placements(dot, 80)
    rows, columns = (
        sorted({int(np.argwhere(each)[0][axis]) for each in places}) for axis in (0, 1)
    )

    assert rows == [0, 4, 8, 12, 16, 20]
    # Mirrored, it lies in the last column.
    assert columns == [0, 3, 4, 7, 8, 11, 12, 15, 16, 19, 20, 23]
    assert len(places) == 72
    assert len(placements(square(24, 24, 11), 80)) > 40
