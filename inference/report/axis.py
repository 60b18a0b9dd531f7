"""The axes of charts: where values are drawn, and which are written."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_FAR = 10.0
"""Times the smallest value: if the largest is further, steps are of equal ratio."""


@dataclass(frozen=True, slots=True)
class Axis:
    """From values to places between two ends."""

    places: dict[float, float]
    """Where each value that is written stands, in 0..1."""
    low: float
    high: float
    logarithmic: bool
    """Whether equal steps are equal ratios; 0 stands one step before the smallest then."""
    zero_at: float = 0.0
    """The logarithm at which 0 is drawn."""

    def at(self, value: float) -> float:
        """Tell the place of a value, 0 to 1 from the one end to the other."""
        where = self._scaled(value)
        return min(1.0, max(0.0, (where - self.low) / (self.high - self.low)))

    def _scaled(self, value: float) -> float:
        if not self.logarithmic:
            return value
        return math.log(value) if value > 0 else self.zero_at


def even_axis(values: Sequence[float], ticks: int = 5) -> Axis:
    """Make an axis of round numbers that holds all values."""
    low, high = min(values), max(values)
    if high <= low:
        low, high = min(low, 0.0), max(high, 0.0) if high else 1.0
    step = _round_step((high - low) / max(1, ticks - 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    written = [index * step for index in range(first, last + 1)]
    axis = Axis({}, written[0], written[-1], logarithmic=False)
    return _with_places(axis, written)


def size_axis(sizes: Sequence[float]) -> Axis:
    """Make an axis of sizes that are not negative, as they are given: each is written."""
    given = sorted(set(sizes))
    positive = [size for size in given if size > 0]
    if len(positive) < 3 or positive[-1] < _FAR * positive[0]:
        axis = Axis({}, min(0.0, given[0]), given[-1] or 1.0, logarithmic=False)
        return _with_places(axis, given)
    logs = [math.log(size) for size in positive]
    step = (logs[-1] - logs[0]) / (len(logs) - 1)
    zero = logs[0] - step
    low = zero if given[0] == 0 else logs[0]
    return _with_places(Axis({}, low, logs[-1], logarithmic=True, zero_at=zero), given)


def _with_places(axis: Axis, written: Sequence[float]) -> Axis:
    places = {value: axis.at(value) for value in written}
    return Axis(places, axis.low, axis.high, axis.logarithmic, axis.zero_at)


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= step * (1 - 1e-9))
