"""How busy the server is, as it measures itself, and what it leaves out therefore."""

import asyncio
import logging
from collections import deque
from collections.abc import Collection
from time import monotonic

from stream.load_step import LoadStep, Pressure, Shedding

_TICK_S = 0.25
_LAGS = 20
"""Five seconds' worth."""
_LATENESS_FOR_S = 15.0
_MOST_LATENESSES = 2000
_FEWEST = 5
_AGE_S = 2.0
"""However short the interval, a caption may be this old."""
_STRETCH = 2.0

logger = logging.getLogger(__name__)


class Load:
    """Measures while it runs; streams and sessions ask what they are to leave out."""

    def __init__(self) -> None:
        """Start with nothing left out."""
        self._shedding = Shedding()
        self._lags: deque[float] = deque(maxlen=_LAGS)
        self._latenesses: deque[tuple[float, float]] = deque(maxlen=_MOST_LATENESSES)

    @property
    def step(self) -> LoadStep:
        """What is left out now."""
        return self._shedding.step

    @property
    def stretch(self) -> float:
        """By how much intervals between captions are longer than they are set to be."""
        return _STRETCH if self.step >= LoadStep.CAPTIONS else 1.0

    @property
    def pressure(self) -> Pressure:
        """How hard it is now to keep up."""
        # Not the mean: one long standstill, as when the machine slept, is no lasting load.
        lag_s = _third_quartile(self._lags)
        since = monotonic() - _LATENESS_FOR_S
        return Pressure(
            _third_quartile([late for at, late in self._latenesses if at > since]), lag_s
        )

    def count_caption(self, age_s: float, interval_s: float) -> None:
        """Take note of how old a caption was when it was told, and how often they are to come."""
        self._latenesses.append((monotonic(), age_s / max(interval_s, _AGE_S)))

    async def run(self) -> None:
        """Measure and decide until cancelled."""
        while True:
            due = monotonic() + _TICK_S
            await asyncio.sleep(_TICK_S)
            self._lags.append(max(0.0, monotonic() - due))
            before, pressure = self.step, self.pressure
            after = self._shedding.decide(pressure, monotonic())
            if after is not before:
                told = (before, after, after.message, pressure.lateness, pressure.lag_s)
                logger.warning("load step %d -> %d: %s (lateness %.2f, lag %.3f s)", *told)

    def to_json(self) -> dict[str, object]:
        """What clients are told of it."""
        return {"step": int(self.step), "message": self.step.message}


def _third_quartile(values: Collection[float]) -> float:
    """What three quarters of the values do not exceed; 0 of too few to tell."""
    if len(values) < _FEWEST:
        return 0.0
    return sorted(values)[3 * len(values) // 4]
