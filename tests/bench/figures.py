"""What was measured: figures with their spread, what they are compared to, and their targets."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np


@dataclass(frozen=True, slots=True)
class Summary:
    """Of many samples."""

    median: float
    p95: float
    least: float
    most: float
    count: int

    @classmethod
    def of(cls, samples: Sequence[float]) -> Self:
        """Summarise samples.

        Raises:
            ValueError: If there are none.
        """
        if not samples:
            raise ValueError("nothing was measured")
        median, p95 = np.percentile(samples, [50, 95])
        return cls(float(median), float(p95), min(samples), max(samples), len(samples))


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure is to be."""

    limit: float
    of: str = "median"
    """The field of `Summary` that is held to it."""
    at_least: bool = False
    """Whether the limit is the least that is wanted; else it is the most."""

    def reached(self, summary: Summary) -> bool:
        """Whether a figure is what it is to be."""
        value: float = getattr(summary, self.of)
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    name: str
    unit: str
    summary: Summary
    """Of the samples of all rounds."""
    spread: tuple[float, float]
    """The least and the most of the rounds' medians."""
    compared_to: str | None
    """What was measured beside it, in the same rounds."""
    baseline: Summary | None
    """That, as `summary`."""
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
        """Put together what each round measured.

        Raises:
            ValueError: If there are no samples.
        """
        medians = [statistics.median(samples) for samples in rounds if samples]
        summary = Summary.of(_pooled(rounds))
        beside = Summary.of(_pooled(baseline)) if baseline is not None else None
        spread = (min(medians), max(medians))
        return cls(name, unit, summary, spread, compared_to, beside, target)

    def to_json(self) -> dict[str, Any]:
        """Return the figure as JSON values, with whether its target was reached."""
        values = asdict(self)
        if self.target:
            values["target"]["reached"] = self.target.reached(self.summary)
        return values


def _pooled(rounds: Sequence[Sequence[float]]) -> list[float]:
    return [sample for samples in rounds for sample in samples]
