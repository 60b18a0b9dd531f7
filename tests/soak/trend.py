"""Whether something grows: the slope of its samples, and how sure that is."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
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
    def of(cls, seconds: ArrayLike, values: ArrayLike) -> Self:
        """Lay a line through samples, by least squares.

        Args:
            seconds: When each was taken.
            values: The samples.

        Raises:
            ValueError: If there are not three at least.
        """
        times, samples = np.asarray(seconds, float), np.asarray(values, float)
        if len(samples) < 3:
            raise ValueError("three samples at least make a trend")
        if np.ptp(samples) == 0:
            return cls(float(samples[0]), 0.0, 0.0, 0.0)
        blocks = min(_BLOCKS, len(samples))
        hours = [part.mean() / 3600 for part in np.array_split(times, blocks)]
        means = [part.mean() for part in np.array_split(samples, blocks)]
        line = stats.linregress(hours, means)
        spread = stats.t.ppf((1 + _CONFIDENCE) / 2, blocks - 2) * line.stderr
        slope = float(line.slope)
        return cls(float(samples.mean()), slope, float(slope - spread), float(slope + spread))

    def is_flat(self, trivial: float) -> bool:
        """Whether nothing grows: the interval holds 0, or the slope is no more than is trivial.

        Args:
            trivial: What it may grow by in an hour.
        """
        return self.low <= 0 or self.slope <= trivial
