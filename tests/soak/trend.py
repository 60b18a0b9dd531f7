"""Whether something grows: the slope of its samples, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import stats

_BLOCKS = 20
"""Samples that follow one another are alike: the line is laid through the means of so many parts,
which hardly are."""
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Trend:
    """A slope, per hour, with the interval that holds it with 95 % confidence."""

    mean: float
    slope: float
    low: float
    high: float

    @classmethod
    def of(cls, seconds: Sequence[float], values: Sequence[float]) -> Self:
        """Lay a line through samples, by least squares.

        Args:
            seconds: When each was taken.
            values: The samples.

        Raises:
            ValueError: If there are not three at least.
        """
        if len(values) < 3:
            raise ValueError("three samples at least make a trend")
        blocks = min(_BLOCKS, len(values))
        hours = np.array([part.mean() for part in np.array_split(np.asarray(seconds), blocks)])
        means = [part.mean() for part in np.array_split(np.asarray(values, float), blocks)]
        line = stats.linregress(hours / 3600, means)
        spread = stats.t.ppf((1 + _CONFIDENCE) / 2, blocks - 2) * line.stderr
        slope = float(line.slope)
        return cls(float(np.mean(values)), slope, slope - spread, slope + spread)

    def is_flat(self, trivial: float) -> bool:
        """Whether nothing grows: the interval holds 0, or the slope is no more than is trivial.

        Args:
            trivial: What it may grow by in an hour.
        """
        return self.low <= 0 or self.slope <= trivial
