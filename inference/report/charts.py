"""Charts as SVG that needs no script: lines over sizes, and marks in rows.

Series differ by the form of their marks and their lines; colour only helps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from inference.report.axis import Axis, even_axis, size_axis
from inference.report.markup import Markup, element, join
from inference.report.wording import figure, given

Form = Literal["disc", "square", "triangle", "diamond", "none"]

_WIDTH, _HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 34, 50
_ROW, _NAMES = 26, 96
_CLOSEST = 26
"""Between numbers that are written along an axis."""


@dataclass(frozen=True, slots=True)
class Series:
    """Values that belong together."""

    name: str
    values: tuple[float | None, ...]
    """One for each place or row; None where there is none."""
    form: Form
    """Of its marks."""
    role: str
    """What it is, as a class of the style sheet: `attack`, `noise`, `most`, `hardened`, `clean`."""


def line_chart(
    label: str, sizes: Sequence[float], size_title: str, value_title: str, series: Sequence[Series]
) -> Markup:
    """Draw values over sizes, with a legend.

    Args:
        label: What it shows, for who does not see it.
        sizes: At which there are values, rising.
        size_title: What they are, with the unit.
        value_title: What the values are.
        series: One at least, a value for each size.
    """
    across = size_axis(sizes)
    drawn = [value for each in series for value in each.values if value is not None]
    up = even_axis([*drawn, 0.0])
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = [_text(_LEFT - 40, 14, value_title, "title")]
    for level, place in up.places.items():
        y = bottom - place * (bottom - _TOP)
        parts += [_rule(_LEFT, y, right, y), _text(_LEFT - 7, y + 4, figure(level), "end")]
    written = -_CLOSEST * 1.0
    for size, place in across.places.items():
        x = _LEFT + place * (right - _LEFT)
        parts.append(_rule(x, bottom, x, bottom + 5))
        if x - written >= _CLOSEST:
            parts.append(_text(x, bottom + 18, given(size), "middle"))
            written = x
    parts.append(_text((_LEFT + right) / 2, _HEIGHT - 10, size_title, "middle title"))
    for each in series:
        points = [
            (_LEFT + across.at(size) * (right - _LEFT), bottom - up.at(value) * (bottom - _TOP))
            for size, value in zip(sizes, each.values, strict=True)
            if value is not None
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(element("polyline", points=path, class_=f"line {each.role}"))
        parts += [_mark(x, y, each) for x, y in points]
    return _chart(label, _HEIGHT, parts, [_legend(each, lined=True) for each in series])


def row_chart(
    label: str, rows: Sequence[str], value_title: str, series: Sequence[Series]
) -> Markup:
    """Draw marks in rows, all of them on one axis below.

    Args:
        label: What it shows, for who does not see it.
        rows: Their names.
        value_title: What the values are, with the unit.
        series: One at least, a value for each row.
    """
    height = len(rows) * _ROW + 58
    axis = even_axis([v for each in series for v in each.values if v is not None] + [0.0])
    right, bottom = _WIDTH - _RIGHT - 8, height - _BOTTOM
    parts = []
    for level, place in axis.places.items():
        x = _NAMES + place * (right - _NAMES)
        parts += [_rule(x, 8, x, bottom), _text(x, bottom + 18, figure(level), "middle")]
    parts.append(_text((_NAMES + right) / 2, height - 10, value_title, "middle title"))
    for row, name in enumerate(rows):
        y = 8 + (row + 0.5) * (bottom - 8) / len(rows)
        values = [(each, value) for each in series if (value := each.values[row]) is not None]
        places = [_place(axis, value, right) for _, value in values]
        parts.append(_text(_NAMES - 12, y + 4, _cut(name), "end name"))
        if places:
            parts.append(
                element(
                    "line",
                    x1=f"{min(places):.1f}",
                    x2=f"{max(places):.1f}",
                    y1=f"{y:.1f}",
                    y2=f"{y:.1f}",
                    class_="span",
                )
            )
        parts += [_mark(x, y, each) for (each, _), x in zip(values, places, strict=True)]
    return _chart(label, height, parts, [_legend(each, lined=False) for each in series])


def bar(value: float, most: float) -> Markup:
    """Draw a small bar from the middle, to the right if positive; for beside its figure."""
    length = 0.0 if most <= 0 else 38 * min(1.0, abs(value) / most)
    x = 40.0 if value >= 0 else 40.0 - length
    sign = "positive" if value >= 0 else "negative"
    shape = element("rect", x=f"{x:.1f}", y=3, width=f"{length:.1f}", height=8, class_=sign)
    middle = element("path", d="M40 0v14", class_="axis")
    return element(
        "svg", shape, middle, class_="bar", viewBox="0 0 80 14", width=80, height=14,
        aria_hidden="true", focusable="false",
    )  # fmt: skip


def _chart(label: str, height: int, parts: Sequence[Markup], legend: Sequence[Markup]) -> Markup:
    drawing = element("svg", *parts, viewBox=f"0 0 {_WIDTH} {height}", role="img", aria_label=label)
    return element("div", drawing, element("ul", *legend, class_="legend"), class_="chart")


def _legend(series: Series, *, lined: bool) -> Markup:
    line = element("path", d="M0 7h28", class_=f"line {series.role}") if lined else None
    width = 28 if lined else 14
    sample = element(
        "svg", line, _mark(width / 2, 7, series), viewBox=f"0 0 {width} 14", width=width,
        height=14, aria_hidden="true", focusable="false",
    )  # fmt: skip
    return element("li", sample, " ", series.name)


def _mark(x: float, y: float, series: Series) -> Markup:
    paths = {
        "disc": "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
        "square": "m-5-5h10v10h-10z",
        "triangle": "m0-5.2l5 9h-10z",
        "diamond": "m0-5.6l5.6 5.6l-5.6 5.6l-5.6-5.6z",
        "none": "",
    }
    if not paths[series.form]:
        return Markup()
    # Relative steps from a point that is moved to first.
    outline = f"M{x:.1f} {y:.1f}{paths[series.form]}"
    return element("path", d=outline, class_=f"mark {series.role}")


def _rule(x1: float, y1: float, x2: float, y2: float) -> Markup:
    return element("path", d=f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}", class_="rule")


def _text(x: float, y: float, content: str, kind: str) -> Markup:
    return element("text", content, x=f"{x:.1f}", y=f"{y:.1f}", class_=kind)


def _place(axis: Axis, value: float, right: float) -> float:
    return _NAMES + axis.at(value) * (right - _NAMES)


def _cut(name: str) -> str:
    return name if len(name) <= 13 else f"{name[:12]}\N{HORIZONTAL ELLIPSIS}"


def side_by_side(*charts: Markup) -> Markup:
    """Put charts beside each other where there is room."""
    return element("div", join(*charts), class_="charts")
