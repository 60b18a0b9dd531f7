"""How far a mean can be trusted: bootstrap confidence intervals over pictures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
_CONFIDENCE = 0.95
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the sign of the mean is beyond doubt."""
        return self.low > 0 or self.high < 0


def mean_interval(values: NDArray[np.floating], seed: int = 0) -> Interval:
    """Tell the mean of independent values and how far another sample's may be from it.

    The percentile interval of Efron and Tibshirani, "An Introduction to the Bootstrap" (1993).

    Args:
        values: [N], one at least: of one picture each.
        seed: Of the resamples.
    """
    random = np.random.default_rng(seed)
    means = np.concatenate(
        [
            values[random.integers(0, len(values), (_BATCH, len(values)))].mean(axis=1)
            for _ in range(RESAMPLES // _BATCH)
        ]
    )
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(values.mean()), float(low), float(high))
