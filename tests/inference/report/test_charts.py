import re
from itertools import pairwise

import matplotlib
import pytest

from inference.report.charts import Series, line_chart, row_chart
from tests.support.html_tree import Element, read

SIZES = (0.0, 0.5, 1.0, 2.0, 4.0)


def _texts(chart: Element) -> list[str]:
    return [text.text for text in chart.all("text")]


def _line(chart: Element, color: str) -> list[tuple[float, float]]:
    """Return the points of the first line of a colour; the sample in the legend comes later."""
    line = next(p for p in chart.all("path") if p.attributes.get("stroke") == f"var(--{color})")
    points = re.findall(r"[ML] (\S+) (\S+)", str(line.attributes["d"]))
    return [(float(x), float(y)) for x, y in points]


def _marks(chart: Element, color: str, count: int) -> list[tuple[float, float]]:
    """Return the first marks of a colour; the sample in the legend comes later."""
    marks = [m for m in chart.all("use") if m.attributes.get("fill") == f"var(--{color})"][:count]
    return [(float(str(m.attributes["x"])), float(str(m.attributes["y"]))) for m in marks]


def _rows(*values: tuple[float | None, ...]) -> Element:
    styles = ("clean", "attacked")
    series = [Series(s, v, s) for s, v in zip(styles, values, strict=False)]  # type: ignore[arg-type]
    return read(row_chart("Words", ["dog", "a much longer name"], "nats", series))


def test_a_line_chart_draws_each_series_where_its_values_are() -> None:
    series = [
        Series("up", (0, 25, 50, 75, 100), "pgd"),
        Series("flat", (0, 0, 0, 0, 0), "noise"),
    ]
    chart = read(line_chart("Both", SIZES, "size", "value", series, (0, 100)))
    up, flat = _line(chart, "attack"), _line(chart, "noise")

    assert chart.all("svg")[0].attributes["role"] == "img"
    assert chart.all("svg")[0].attributes["aria-label"] == "Both"
    assert {"up", "flat", "size", "value", "0.5", "4", "0", "100"} <= set(_texts(chart))
    assert _marks(chart, "attack", len(SIZES)) == up
    assert [x for x, _ in up] == [x for x, _ in flat]
    # Sizes that double are at equal steps, and zero is one step before them.
    assert len({round(after[0] - before[0], 2) for before, after in pairwise(up)}) == 1
    assert len({round(after[1] - before[1], 2) for before, after in pairwise(up)}) == 1
    assert len({y for _, y in flat}) == 1
    assert up[-1][1] < up[0][1] == flat[0][1]


def test_a_row_chart_marks_the_values_of_each_row() -> None:
    chart = _rows((-1.0, -2.0), (-3.0, None))
    (first, top), (second, bottom) = _marks(chart, "clean", 2)
    ((far, far_top),) = _marks(chart, "attack", 1)

    assert first - second == pytest.approx(second - far, abs=0.01)
    assert far < second < first
    assert far_top == top < bottom
    assert {"dog", "a much longe…", "clean", "attacked"} <= set(_texts(chart))


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ((-3.7, -0.1), ["-4", "-3", "-2", "-1", "0"]),
        ((0.0, 0.0), ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ((5.0, 5.0), ["0", "1", "2", "3", "4", "5"]),
        ((-2.0, None), ["-2", "-1.5", "-1", "-0.5", "0"]),
    ],
)
def test_ticks_are_round_numbers_around_all_values(
    values: tuple[float | None, ...], ticks: list[str]
) -> None:
    texts = [text.replace("\N{MINUS SIGN}", "-") for text in _texts(_rows(values))]

    assert texts[: len(ticks)] == ticks


def test_labels_of_close_sizes_do_not_overlap() -> None:
    sizes = tuple(56.29 * 1.1**step for step in range(20))
    series = [Series("only", (0.0,) * 20, "pgd")]
    labels = read(line_chart("", sizes, "size", "value", series)).all("text")
    places = [
        float(str(label.attributes["x"]))
        for label in labels
        if label.attributes["text-anchor"] == "middle" and label.text[0].isdigit()
    ]

    assert 5 < len(places) < 20
    assert min(after - before for before, after in pairwise(places)) > 25


def test_colours_come_from_the_page_and_nothing_else_is_fetched() -> None:
    chart = row_chart("Words", ["dog"], "nats", [Series("one", (-1.0,), "hardened")])
    colors = set(re.findall(r'(?:fill|stroke)="([^"]+)"', chart))

    assert colors == {"none", *(f"var(--{c})" for c in ("ink", "ink-soft", "rule", "page"))} | {
        "var(--hardened)"
    }
    assert not re.search("<style|<script|font-family|http|url", chart)


def test_the_same_values_give_the_same_bytes_whatever_the_users_style() -> None:
    def draw() -> str:
        return line_chart("Both", SIZES, "size", "value", [Series("up", SIZES, "pgd")])

    first = draw()
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30, "axes.grid": True}):
        assert draw() == first


@pytest.mark.parametrize("name", ["<b>&\"'", "$x_1$", "a\x00\x1b\ufffe", "犬🐕", "\ud800"])
def test_any_name_becomes_text(name: str) -> None:
    chart = read(row_chart(name, [name], "nats", [Series(name, (-1.0,), "clean")]))
    shown = re.sub("[\x00-\x1f\ufffe\ud800]", "\ufffd", name)

    assert _texts(chart).count(shown) == 2
    assert chart.all("svg")[0].attributes["aria-label"] == shown


def test_the_names_of_rows_are_not_cut_off() -> None:
    names = ["a", "skateboarder", "a much longer name"]
    series = [Series("clean", (-1.0, -2.0, -3.0), "clean")]
    chart = read(row_chart("Words", names, "nats", series))
    labels = [each for each in chart.all("text") if each.attributes["text-anchor"] == "end"]

    assert len(labels) == 3
    for label in labels:
        # A wide font takes 0.6 of its size for a character on average.
        assert float(str(label.attributes["x"])) >= 0.6 * 13 * len(label.text)
