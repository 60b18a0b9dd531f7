"""What is left out, step by step, when the machine is too slow for all of it.

How busy the server is, as it measures itself, and what it leaves out therefore.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum
from time import monotonic

_RISE_S = 3.0
_FALL_S = 15.0
_LONGEST_FALL_S = 240.0
_IN_VAIN_S = 30.0

_HIGH_LATENESS, _LOW_LATENESS = 0.7, 0.35

_HIGH_LAG_S, _LOW_LAG_S = 0.2, 0.05

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


class LoadStep(IntEnum):
    """Each step leaves out what those before it do, and more."""

    NOTHING = 0
    SALIENCY = 1
    GRADCAM = 2
    CAPTIONS = 3
    SESSIONS = 4

    @property
    def message(self) -> str:
        """What to tell people; empty when nothing is left out."""
        return _MESSAGES[self]


_MESSAGES = {
    LoadStep.NOTHING: "",
    LoadStep.SALIENCY: "The server is busy: saliency is left out.",
    LoadStep.GRADCAM: "The server is busy: maps of words are left out.",
    LoadStep.CAPTIONS: "The server is busy: captions come half as often, without maps.",
    LoadStep.SESSIONS: "The server is too busy for more: captions come half as often, "
    "without maps.",
}


@dataclass(frozen=True, slots=True)
class Pressure:
    """How hard it is for the machine to keep up."""

    lateness: float
    """Age of captions when they are told, as a share of what it may be."""
    lag_s: float
    """How late the event loop gets to what is due."""

    @property
    def high(self) -> bool:
        """Whether something has to be left out."""
        return self.lateness > _HIGH_LATENESS or self.lag_s > _HIGH_LAG_S

    @property
    def low(self) -> bool:
        """Whether something may come back."""
        return self.lateness < _LOW_LATENESS and self.lag_s < _LOW_LAG_S


class Shedding:
    """Decides on the step: up after some seconds of high pressure, down after more of low.

    A step back that proves to be too early is tried less soon the next time.
    """

    def __init__(self) -> None:
        """Start with nothing left out."""
        self.step = LoadStep.NOTHING
        self._high_since: float | None = None
        self._low_since: float | None = None
        self._fell_at = float("-inf")
        self._fall_s = _FALL_S

    def decide(self, pressure: Pressure, now: float) -> LoadStep:
        """Go by the pressure of now, in seconds of any clock; to be asked every second or so."""
        self._high_since = _since(self._high_since, now, holds=pressure.high)
        self._low_since = _since(self._low_since, now, holds=pressure.low)
        if self._high_since is not None and now - self._high_since >= _RISE_S:
            self._rise(now)
        elif self._low_since is not None and now - self._low_since >= self._fall_s:
            self._fall(now)
        return self.step

    def _rise(self, now: float) -> None:
        if now - self._fell_at <= _IN_VAIN_S:
            self._fall_s = min(2 * self._fall_s, _LONGEST_FALL_S)
            self._fell_at = float("-inf")
        self._high_since = now
        self.step = LoadStep(min(self.step + 1, LoadStep.SESSIONS))

    def _fall(self, now: float) -> None:
        self._low_since = now
        if self.step is LoadStep.NOTHING:
            self._fall_s = _FALL_S
            return
        self._fell_at = now
        self.step = LoadStep(self.step - 1)


def _since(before: float | None, now: float, *, holds: bool) -> float | None:
    if not holds:
        return None
    return now if before is None else before


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
