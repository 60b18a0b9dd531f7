"""Charts as inline SVG, drawn by matplotlib: lines over perturbation sizes, and marks in rows.

The SVG has no script, style sheet or font. Its colours are the custom properties of `report.css`,
so that charts follow the page to dark mode and to paper, and its text is in the page's font. Series
differ by marker and line style; colour only helps. The same values give the same bytes.

Importing this module takes about half a second: import it only when a chart is drawn.
"""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal
from xml.etree import ElementTree

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from inference.report.formatting import exact, number, printable

SeriesStyle = Literal["pgd", "fgsm", "noise", "noise-max", "clean", "attacked", "hardened"]

_INK, _SOFT, _RULE, _PAGE = "#010101", "#020202", "#030303", "#040404"
_ATTACK, _NOISE, _HARDENED, _CLEAN = "#050505", "#060606", "#070707", "#080808"
_PROPERTIES: Final = {
    _INK: "--ink",
    _SOFT: "--ink-soft",
    _RULE: "--rule",
    _PAGE: "--page",
    _ATTACK: "--attack",
    _NOISE: "--noise",
    _HARDENED: "--hardened",
    _CLEAN: "--clean",
}
"""Colours that matplotlib draws with, and the custom properties that replace them."""


def _filled(marker: str, color: str, size: float) -> dict[str, Any]:
    return {"marker": marker, "color": color, "markeredgecolor": _PAGE, "markersize": size}


def _hollow(marker: str, color: str, size: float) -> dict[str, Any]:
    face = {"markerfacecolor": _PAGE, "markeredgewidth": 2}
    return {"marker": marker, "color": color, "markersize": size, **face}


_STYLES: Final[dict[SeriesStyle, dict[str, Any]]] = {
    "pgd": _filled("o", _ATTACK, 9),
    "fgsm": _hollow("s", _NOISE, 10),
    "noise": {**_hollow("s", _NOISE, 10), "linestyle": (0, (3, 1.75))},
    "noise-max": {"color": _NOISE, "linestyle": (0, (1, 2.25)), "linewidth": 1.75},
    "clean": _filled("o", _CLEAN, 9),
    "attacked": _filled("^", _ATTACK, 11),
    "hardened": _filled("D", _HARDENED, 8),
}

# One inch is 72 units of the SVG, and about as many pixels of the page.
_INCH = 72
_WIDTH, _FONT_SIZE = 440, 13
_PLOT_HEIGHT, _ROW_HEIGHT, _LEGEND_HEIGHT = 216, 26, 21
_AXIS_HEIGHT = 52
"""Of tick labels and the title of the axis below the plot."""
_CHARACTER_WIDTH = 8.0
"""Of the widest characters of a tick label."""
_LEGEND_CHARACTERS = 52
"""Of names and markers in one row of the legend."""
_MOST_CHARACTERS = 13
"""Of the name of a row."""
_NAME_PADDING = 13
"""Between the names of the rows and the plot."""
_RC: Final[dict[Any, Any]] = {
    "axes.unicode_minus": True,
    "font.size": _FONT_SIZE,
    "lines.linewidth": 2.25,
    "lines.markeredgewidth": 1.25,
    "svg.fonttype": "none",
    "text.parse_math": False,
}
_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"


@dataclass(frozen=True, slots=True)
class Series:
    """Values that belong together."""

    name: str
    values: tuple[float | None, ...]
    """One for each size or row; None where there is none."""
    style: SeriesStyle


def line_chart(
    label: str,
    sizes: Sequence[float],
    size_title: str,
    value_title: str,
    series: Sequence[Series],
    value_range: tuple[float, float] | None = None,
) -> Markup:
    """Draw values over sizes on a logarithmic axis, with a legend.

    Args:
        label: Text alternative.
        sizes: Not negative, increasing; 0 is drawn one step before the smallest.
        size_title: What the sizes are, with the unit.
        value_title: What the values are, with the unit.
        series: At least one, with a value for each size.
        value_range: Ends of the value axis; from 0 to the values by default.
    """
    legend_height = _legend_rows(series) * _LEGEND_HEIGHT
    height = 32 + _PLOT_HEIGHT + _AXIS_HEIGHT + legend_height
    with _defaults(label):
        figure, axes = _plot(height, left=52, right=14, top=32, bottom=_AXIS_HEIGHT + legend_height)
        smallest = min((size for size in sizes if size > 0), default=1.0)
        axes.set_xscale("symlog", base=2, linthresh=smallest, linscale=0.5)
        lines = [
            axes.plot(sizes, _floats(each), clip_on=False, zorder=3, **_STYLES[each.style])[0]
            for each in series
        ]
        axes.margins(x=0)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(sizes, _without_overlap(axes, sizes))
        axes.tick_params(axis="x", length=5, pad=5, color=_RULE)
        ticks = _ticks(series, value_range)
        axes.set_ylim(ticks[0], ticks[-1])
        axes.set_yticks(ticks, [number(tick) for tick in ticks])
        axes.grid(axis="y", color=_RULE, linewidth=1, clip_on=False)
        axes.set_title(value_title, loc="left", x=-40 / 374, pad=13, color=_SOFT, size=_FONT_SIZE)
        axes.set_xlabel(size_title, color=_SOFT, labelpad=8)
        _add_legend(figure, lines, series)
        return _inline_svg(figure, label)


def row_chart(
    label: str, rows: Sequence[str], value_title: str, series: Sequence[Series]
) -> Markup:
    """Draw marks in rows over a common axis, with a legend.

    Args:
        label: Text alternative.
        rows: Their names.
        value_title: What the values are, with the unit.
        series: At least one, with a value for each row.
    """
    legend_height = _legend_rows(series) * _LEGEND_HEIGHT
    height = 8 + len(rows) * _ROW_HEIGHT + _AXIS_HEIGHT + legend_height
    names = [_shortened(printable(row)) for row in rows]
    left = _NAME_PADDING + _CHARACTER_WIDTH * max(map(len, names), default=0)
    with _defaults(label):
        figure, axes = _plot(
            height, left=left, right=22, top=8, bottom=_AXIS_HEIGHT + legend_height
        )
        for row, values in enumerate(zip(*(each.values for each in series), strict=True)):
            there = [value for value in values if value is not None]
            if there:
                span = [min(there), max(there)]
                axes.plot(span, [row, row], color=_SOFT, linewidth=1, clip_on=False, zorder=2)
        lines = [
            axes.plot(
                _floats(each),
                range(len(rows)),
                clip_on=False,
                zorder=3,
                **{**_STYLES[each.style], "linestyle": ""},
            )[0]
            for each in series
        ]
        ticks = _ticks(series, None)
        axes.set_xlim(ticks[0], ticks[-1])
        axes.set_xticks(ticks, [number(tick) for tick in ticks])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks(range(len(rows)), names)
        axes.tick_params(axis="x", pad=5)
        axes.tick_params(axis="y", pad=_NAME_PADDING)
        axes.grid(axis="x", color=_RULE, linewidth=1, clip_on=False)
        axes.set_xlabel(value_title, color=_SOFT, labelpad=8)
        _add_legend(figure, lines, series)
        return _inline_svg(figure, label)


@contextmanager
def _defaults(salt: str) -> Iterator[None]:
    """Draw with matplotlib's defaults, whatever the user's `matplotlibrc` says.

    The salt goes into the ids of the SVG's elements: charts of one page need different ones.
    """
    with matplotlib.rc_context(), warnings.catch_warnings():
        # The browser's fonts have the characters that matplotlib's own lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**_RC, "svg.hashsalt": printable(salt)})
        yield


def _plot(
    height: float, left: float, right: float, top: float, bottom: float
) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH / _INCH, height / _INCH))
    FigureCanvasSVG(figure)
    figure.patch.set_visible(False)
    width = _WIDTH - left - right
    axes = figure.add_axes(
        (left / _WIDTH, bottom / height, width / _WIDTH, (height - top - bottom) / height)
    )
    axes.patch.set_visible(False)
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=10, labelcolor=_INK)
    return figure, axes


def _floats(series: Series) -> list[float]:
    return [float("nan") if value is None else value for value in series.values]


def _ticks(series: Sequence[Series], value_range: tuple[float, float] | None) -> list[float]:
    """Choose up to six round numbers that enclose all values and 0."""
    values = [value for each in series for value in each.values if value is not None]
    low, high = value_range or (min([0.0, *values]), max([0.0, *values]))
    if low == high:
        high = low + 1
    return [float(tick) for tick in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)]


def _without_overlap(axes: Axes, sizes: Sequence[float]) -> list[str]:
    """Label sizes, but leave those labels empty that would touch the one before."""
    labels: list[str] = []
    end = float("-inf")
    # Until now the limits of the axis have not been computed.
    axes.autoscale_view()
    for size in sizes:
        text = exact(size)
        middle = axes.transData.transform((size, 0))[0] * _INCH / axes.figure.dpi
        half = len(text) * _CHARACTER_WIDTH / 2
        fits = middle - half >= end
        labels.append(text if fits else "")
        end = middle + half if fits else end
    return labels


def _legend_rows(series: Sequence[Series]) -> int:
    return -(-len(series) // _legend_columns(series))


def _legend_columns(series: Sequence[Series]) -> int:
    characters = sum(len(each.name) + 5 for each in series)
    return len(series) if characters <= _LEGEND_CHARACTERS else 2


def _add_legend(figure: Figure, lines: Sequence[Line2D], series: Sequence[Series]) -> None:
    lined = any(line.get_linestyle() != "None" for line in lines)
    figure.legend(
        lines,
        [printable(each.name) for each in series],
        loc="lower left",
        bbox_to_anchor=(0, 0),
        ncols=_legend_columns(series),
        frameon=False,
        labelcolor=_SOFT,
        borderpad=0.2,
        borderaxespad=0,
        handlelength=2.2 if lined else 1,
        handletextpad=0.5,
        columnspacing=1.4,
        labelspacing=0.45,
    )


def _shortened(name: str) -> str:
    return name if len(name) <= _MOST_CHARACTERS else f"{name[: _MOST_CHARACTERS - 1]}…"


def _inline_svg(figure: Figure, label: str) -> Markup:
    """Write a figure as SVG for inside HTML: coloured by the page, without prolog and metadata."""
    file = io.BytesIO()
    figure.savefig(file, format="svg")
    root = ElementTree.fromstring(file.getvalue())
    for child in list(root):
        if child.tag.endswith("metadata") or child.find(f"{_SVG}style") is not None:
            root.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        element.attrib = dict(_attributes(element))
    view_box = root.attrib["viewBox"]
    root.attrib = {"viewBox": view_box, "role": "img", "aria-label": printable(label)}
    # Line breaks between elements are not drawn.
    return Markup(re.sub(r">\s+<", "><", ElementTree.tostring(root, encoding="unicode")))


def _attributes(element: ElementTree.Element) -> Iterator[tuple[str, str]]:
    """Return an element's attributes, its style declarations among them, without ids of groups."""
    for name, value in element.attrib.items():
        if name == "style":
            for declaration in value.split(";"):
                key, _, content = declaration.partition(":")
                # The page has its own font.
                if not key.strip().startswith("font"):
                    yield key.strip(), _property(content.strip())
        elif name == _LINK:
            yield "href", value
        elif not (name == "id" and element.tag == "g") and "rotate(-0 " not in value:
            yield name, value


def _property(value: str) -> str:
    return f"var({_PROPERTIES[value]})" if value in _PROPERTIES else value
