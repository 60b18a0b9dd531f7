"""Histograms for metrics."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Any


class Histogram:
    """Counts values by bucket, as Prometheus does; the values themselves are not stored."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """Start empty, with buckets of these inclusive upper bounds, in ascending order."""
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        """Sum of all values."""

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def __add__(self, other: "Histogram") -> "Histogram":
        """Return a histogram of the values of both, which have the same bounds."""
        total = Histogram(self._bounds)
        total._counts = [one + two for one, two in zip(self._counts, other._counts, strict=True)]
        total.total = self.total + other.total
        return total

    def to_json(self) -> dict[str, Any]:
        """Return the histogram as JSON values."""
        return {"bounds": self._bounds, "counts": self._counts, "total": self.total}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Histogram":
        """Read what `to_json` returned."""
        histogram = cls(values["bounds"])
        histogram._counts, histogram.total = list(values["counts"]), values["total"]
        return histogram

    def cumulative(self) -> list[tuple[float, int]]:
        """Return each bound with the number of values up to it; the last bound is infinite."""
        return list(zip((*self._bounds, float("inf")), accumulate(self._counts), strict=True))
