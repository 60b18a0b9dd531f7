"""Figures as a table for people."""

from collections.abc import Sequence

from tests.bench.figures import Figure, Target

_HEAD = ("", "median", "p95", "rounds' medians", "compared to", "median", "p95", "target")


def table(figures: Sequence[Figure]) -> str:
    """Lay figures out in columns."""
    rows = [_HEAD, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(_cells(row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _cells(row: tuple[str, ...], widths: Sequence[int]) -> list[str]:
    words = (0, 4, 7)
    return [
        cell.ljust(width) if column in words else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def _row(figure: Figure) -> tuple[str, ...]:
    low, high = figure.spread
    beside = figure.baseline
    return (
        f"{figure.name}, {figure.unit}" if figure.unit else figure.name,
        _number(figure.summary.median),
        _number(figure.summary.p95),
        f"{_number(low)} to {_number(high)}",
        figure.compared_to or "",
        _number(beside.median) if beside else "",
        _number(beside.p95) if beside else "",
        _verdict(figure, figure.target) if figure.target else "",
    )


def _verdict(figure: Figure, target: Target) -> str:
    bound = "at least" if target.at_least else "at most"
    verdict = "reached" if target.reached(figure.summary) else "MISSED"
    return f"{verdict}: {target.of} {bound} {target.limit:g}"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
