import math
from itertools import pairwise

import pytest

from inference.report.axis import even_axis, size_axis
from inference.report.charts import Series, line_chart, row_chart
from tests.inference.report.reading import Element, read


def test_an_even_axis_has_round_numbers_around_all_values() -> None:
    axis = even_axis([-3.7, 0.0])

    assert list(axis.places) == [-4, -3, -2, -1, 0]
    assert list(axis.places.values()) == [0, 0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [5.0, 5.0], [-2.0], [1e-5, 0.0]])
def test_an_even_axis_of_hardly_any_values_holds_them_too(values: list[float]) -> None:
    axis = even_axis(values)

    assert all(axis.low - 1e-9 <= value <= axis.high + 1e-9 for value in values)
    assert len(axis.places) >= 2


def test_sizes_that_double_stand_at_equal_steps_with_zero_before_them() -> None:
    axis = size_axis([0.0, 0.5, 1.0, 2.0, 4.0, 8.0])

    assert [axis.at(size) for size in (0, 0.5, 1, 2, 4, 8)] == pytest.approx(
        [0, 0.2, 0.4, 0.6, 0.8, 1]
    )


def test_sizes_that_are_close_stand_as_they_are() -> None:
    axis = size_axis([0.0, 1.0, 2.0, 4.0])

    assert [axis.at(size) for size in (0, 1, 2, 4)] == [0, 0.25, 0.5, 1]


def _points(line: Element) -> list[tuple[float, float]]:
    pairs = str(line.attributes["points"]).split()
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in pairs)]


def test_a_line_chart_draws_each_series_where_its_values_are() -> None:
    sizes = (0.5, 1.0, 2.0, 4.0, 8.0)
    chart = line_chart(
        "Both",
        sizes,
        "size",
        "value",
        [
            Series("up", (0, 25, 50, 75, 100), "disc", "attack"),
            Series("flat", (0, 0, 0, 0, 0), "square", "noise"),
        ],
    )
    root = read(chart)
    up, flat = (_points(line) for line in root.all("polyline"))

    assert root.all("svg")[0].attributes["aria-label"] == "Both"
    assert [item.text.strip() for item in root.all("li")] == ["up", "flat"]
    assert [x for x, _ in up] == [x for x, _ in flat]
    assert len({round(b[0] - a[0]) for a, b in pairwise(up)}) == 1
    assert len({round(a[1] - b[1]) for a, b in pairwise(up)}) == 1
    assert len({y for _, y in flat}) == 1
    assert up[0] == flat[0]
    assert up[-1][1] < up[0][1]


def test_a_row_chart_marks_what_there_is_in_each_row() -> None:
    chart = row_chart(
        "Words",
        ["dog", "a much longer name"],
        "nats",
        [
            Series("one", (-1.0, -2.0), "disc", "clean"),
            Series("other", (-3.0, None), "triangle", "attack"),
        ],
    )
    marks = [
        float(str(path.attributes["d"])[1:].split()[0])
        for path in read(chart).all("svg")[0].all("path")
        if str(path.attributes["class"]).startswith("mark")
    ]

    first, far, second = marks
    assert math.isclose(first - second, second - far, abs_tol=0.2)
    assert far < second < first
