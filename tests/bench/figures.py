"""Figures of a benchmark, with their spread, baselines and targets, and the table of them."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np


@dataclass(frozen=True, slots=True)
class Summary:
    """Summary statistics of samples."""

    median: float
    p95: float
    minimum: float
    maximum: float
    count: int

    @classmethod
    def of(cls, samples: Sequence[float]) -> Self:
        """Summarize samples.

        Raises:
            ValueError: If there are none.
        """
        if not samples:
            raise ValueError("there are no samples; measure for longer")
        median, p95 = np.percentile(samples, [50, 95])
        return cls(float(median), float(p95), min(samples), max(samples), len(samples))


@dataclass(frozen=True, slots=True)
class Target:
    """A limit of a figure.

    Attributes:
        limit: The limit.
        statistic: The field of `Summary` that is compared with it.
        at_least: Whether the limit is a minimum instead of a maximum.
    """

    limit: float
    statistic: str = "median"
    at_least: bool = False

    def is_met(self, summary: Summary) -> bool:
        """Return whether a figure meets the target."""
        value: float = getattr(summary, self.statistic)
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured quantity, one line of the table.

    Attributes:
        name: Name of the quantity.
        unit: Its unit; empty for a ratio or a count.
        summary: Summary of the samples of all rounds.
        spread: Smallest and largest median of a round.
        compared_to: What was measured as a baseline in the same rounds.
        baseline: Summary of the baseline's samples.
        target: Limit of the quantity.
    """

    name: str
    unit: str
    summary: Summary
    spread: tuple[float, float]
    compared_to: str | None
    baseline: Summary | None
    target: Target | None

    @classmethod
    def over_rounds(
        cls,
        name: str,
        unit: str,
        rounds: Sequence[Sequence[float]],
        compared_to: str | None = None,
        baseline: Sequence[Sequence[float]] | None = None,
        target: Target | None = None,
    ) -> Self:
        """Summarize the samples of each round.

        Raises:
            ValueError: If there are no samples.
        """
        medians = [statistics.median(samples) for samples in rounds if samples]
        summary = Summary.of(_pool(rounds))
        baseline_summary = Summary.of(_pool(baseline)) if baseline is not None else None
        spread = (min(medians), max(medians))
        return cls(name, unit, summary, spread, compared_to, baseline_summary, target)

    def to_json(self) -> dict[str, Any]:
        """Return the figure as JSON values, with whether it meets its target."""
        values = asdict(self)
        if self.target:
            values["target"]["met"] = self.target.is_met(self.summary)
        return values


def _pool(rounds: Sequence[Sequence[float]]) -> list[float]:
    return [sample for samples in rounds for sample in samples]


_HEAD = ("", "median", "p95", "medians of rounds", "compared with", "median", "p95", "target")
_LEFT_ALIGNED = (0, 4, 7)


def format_table(figures: Sequence[Figure]) -> str:
    """Format figures as a table of plain text."""
    rows = [_HEAD, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(_align(row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _align(row: tuple[str, ...], widths: Sequence[int]) -> list[str]:
    return [
        cell.ljust(width) if column in _LEFT_ALIGNED else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def _row(figure: Figure) -> tuple[str, ...]:
    low, high = figure.spread
    baseline = figure.baseline
    return (
        f"{figure.name}, {figure.unit}" if figure.unit else figure.name,
        _number(figure.summary.median),
        _number(figure.summary.p95),
        f"{_number(low)} to {_number(high)}",
        figure.compared_to or "",
        _number(baseline.median) if baseline else "",
        _number(baseline.p95) if baseline else "",
        _verdict(figure, figure.target) if figure.target else "",
    )


def _verdict(figure: Figure, target: Target) -> str:
    bound = "at least" if target.at_least else "at most"
    verdict = "met" if target.is_met(figure.summary) else "MISSED"
    return f"{verdict}: {target.statistic} {bound} {target.limit:g}"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
