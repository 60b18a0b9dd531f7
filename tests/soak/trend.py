"""Linear trends of samples, with confidence intervals."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

_BLOCKS = 20
"""The line is fitted to the means of this many blocks: unlike consecutive samples, they are hardly
correlated."""
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Trend:
    """The mean, and the slope per hour with its 95 % confidence interval `low` to `high`."""

    mean: float
    slope: float
    low: float
    high: float

    @classmethod
    def of(cls, seconds: ArrayLike, values: ArrayLike) -> Self:
        """Fit a line by least squares.

        Args:
            seconds: Time of each sample, in seconds.
            values: The samples.

        Raises:
            ValueError: If there are fewer than three samples.
        """
        times, samples = np.asarray(seconds, float), np.asarray(values, float)
        if len(samples) < 3:
            raise ValueError("a trend needs at least three samples")
        if np.ptp(samples) == 0:
            return cls(float(samples[0]), 0.0, 0.0, 0.0)
        blocks = min(_BLOCKS, len(samples))
        hours = [part.mean() / 3600 for part in np.array_split(times, blocks)]
        means = [part.mean() for part in np.array_split(samples, blocks)]
        line = stats.linregress(hours, means)
        spread = stats.t.ppf((1 + _CONFIDENCE) / 2, blocks - 2) * line.stderr
        slope = float(line.slope)
        return cls(float(samples.mean()), slope, float(slope - spread), float(slope + spread))

    def is_flat(self, max_growth: float) -> bool:
        """Return whether the interval includes 0, or the slope does not exceed `max_growth`."""
        return self.low <= 0 or self.slope <= max_growth
