"""Load shedding: measure how busy the server is, and turn features off level by level."""

import asyncio
import logging
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum

from stream.clock import boottime

_RAISE_AFTER_S = 3.0
_LOWER_AFTER_S = 15.0
_MAX_LOWER_AFTER_S = 240.0
_TOO_EARLY_S = 30.0
"""A level that rises again this soon after it was lowered was lowered too early."""

_HIGH_LATENESS, _LOW_LATENESS = 0.7, 0.35
_HIGH_LAG_S, _LOW_LAG_S = 0.2, 0.05

_TICK_S = 0.25
_LAG_SAMPLES = 20
"""The last 5 s."""

_SUSPENDED_S = 5.0
"""An event loop that stood still for this long did not run at all: the process was suspended."""

_LATENESS_WINDOW_S = 15.0
_MAX_LATENESS_SAMPLES = 2000
_MIN_SAMPLES = 5
_MIN_ALLOWED_AGE_S = 2.0
"""However short the interval between captions, a caption may be this old."""

_INTERVAL_FACTOR = 2.0

logger = logging.getLogger(__name__)


class LoadLevel(IntEnum):
    """Load level; each turns off more than the levels below it."""

    NORMAL = 0
    NO_SALIENCY = 1
    NO_WORD_MAPS = 2
    FEWER_CAPTIONS = 3
    NO_NEW_SESSIONS = 4

    @property
    def message(self) -> str:
        """What is turned off, for people; empty at the normal level."""
        return _MESSAGES[self]


_MESSAGES = {
    LoadLevel.NORMAL: "",
    LoadLevel.NO_SALIENCY: "The server is busy. Saliency maps are off.",
    LoadLevel.NO_WORD_MAPS: "The server is busy. Saliency maps and word maps are off.",
    LoadLevel.FEWER_CAPTIONS: "The server is busy. Captions come half as often, without maps.",
    LoadLevel.NO_NEW_SESSIONS: "The server is too busy to start new sessions. Captions come half "
    "as often, without maps.",
}


@dataclass(frozen=True, slots=True)
class Pressure:
    """How hard it is for the machine to keep up."""

    lateness: float
    """Age of captions when they are published, as a fraction of the allowed age."""
    lag_s: float
    """Delay of the event loop, in seconds."""

    @property
    def high(self) -> bool:
        """Whether the load level must rise."""
        return self.lateness > _HIGH_LATENESS or self.lag_s > _HIGH_LAG_S

    @property
    def low(self) -> bool:
        """Whether the load level may fall."""
        return self.lateness < _LOW_LATENESS and self.lag_s < _LOW_LAG_S


class LoadShedder:
    """Chooses the load level: higher after 3 s of high pressure, lower after 15 s of low pressure.

    When a level proves to have been lowered too early, the next attempt to lower it waits twice as
    long, up to 240 s.
    """

    def __init__(self) -> None:
        """Start at the normal level."""
        self.level = LoadLevel.NORMAL
        self._high_since: float | None = None
        self._low_since: float | None = None
        self._lowered_at = float("-inf")
        self._lower_after_s = _LOWER_AFTER_S

    def update(self, pressure: Pressure, now: float) -> LoadLevel:
        """Update the level and return it; call this about every second.

        Args:
            pressure: The current pressure.
            now: The current time in seconds, on any clock that nobody sets.
        """
        self._high_since = _since(self._high_since, now, holds=pressure.high)
        self._low_since = _since(self._low_since, now, holds=pressure.low)
        if self._high_since is not None and now - self._high_since >= _RAISE_AFTER_S:
            self._raise(now)
        elif self._low_since is not None and now - self._low_since >= self._lower_after_s:
            self._lower(now)
        return self.level

    def _raise(self, now: float) -> None:
        if now - self._lowered_at <= _TOO_EARLY_S:
            self._lower_after_s = min(2 * self._lower_after_s, _MAX_LOWER_AFTER_S)
            self._lowered_at = float("-inf")
        self._high_since = now
        self.level = LoadLevel(min(self.level + 1, LoadLevel.NO_NEW_SESSIONS))

    def _lower(self, now: float) -> None:
        self._low_since = now
        if self.level is LoadLevel.NORMAL:
            self._lower_after_s = _LOWER_AFTER_S
            return
        self._lowered_at = now
        self.level = LoadLevel(self.level - 1)


def _since(before: float | None, now: float, *, holds: bool) -> float | None:
    if not holds:
        return None
    return now if before is None else before


class LoadMonitor:
    """Measures the pressure while it runs, and holds the load level for streams and sessions."""

    def __init__(self) -> None:
        """Start at the normal level."""
        self._shedder = LoadShedder()
        self._lags: deque[float] = deque(maxlen=_LAG_SAMPLES)
        self._latenesses: deque[tuple[float, float]] = deque(maxlen=_MAX_LATENESS_SAMPLES)
        self._measured_since = float("-inf")

    @property
    def level(self) -> LoadLevel:
        """The current load level."""
        return self._shedder.level

    @property
    def interval_factor(self) -> float:
        """Factor by which the intervals between captions are longer than configured."""
        return _INTERVAL_FACTOR if self.level >= LoadLevel.FEWER_CAPTIONS else 1.0

    @property
    def pressure(self) -> Pressure:
        """The current pressure."""
        # The quartile, not the mean: a single long pause, as when the machine was suspended, is
        # not a lasting load.
        lag_s = _third_quartile(self._lags)
        since = boottime() - _LATENESS_WINDOW_S
        return Pressure(
            _third_quartile([lateness for at, lateness in self._latenesses if at > since]), lag_s
        )

    def count_caption(self, age_s: float, interval_s: float) -> None:
        """Record a caption.

        Args:
            age_s: Age of its frame when the caption was published, in seconds.
            interval_s: Seconds between captions of its stream.
        """
        now = boottime()
        # A frame from before a suspension got old without any load.
        if now - age_s >= self._measured_since:
            self._latenesses.append((now, age_s / max(interval_s, _MIN_ALLOWED_AGE_S)))

    def restart(self) -> None:
        """Return to the normal level and discard the measurements, as after a suspension."""
        self._shedder = LoadShedder()
        self._lags.clear()
        self._latenesses.clear()
        self._measured_since = boottime()

    async def run(self) -> None:
        """Measure the pressure and update the level until cancelled."""
        while True:
            due = boottime() + _TICK_S
            await asyncio.sleep(_TICK_S)
            lag_s = max(0.0, boottime() - due)
            if lag_s > _SUSPENDED_S:
                logger.warning("the process stood still for %.0f s; load is measured anew", lag_s)
                self.restart()
                continue
            self._lags.append(lag_s)
            before, pressure = self.level, self.pressure
            after = self._shedder.update(pressure, boottime())
            if after is not before:
                logger.warning(
                    "load level %d -> %d: %s (lateness %.2f, lag %.3f s)",
                    before,
                    after,
                    after.message or "back to normal",
                    pressure.lateness,
                    pressure.lag_s,
                )

    def to_json(self) -> dict[str, object]:
        """Return `load` of the messages in `schema.json`."""
        return {"step": int(self.level), "message": self.level.message}


def _third_quartile(values: Collection[float]) -> float:
    """Return the value that three quarters do not exceed; 0 for fewer than 5 values."""
    if len(values) < _MIN_SAMPLES:
        return 0.0
    return sorted(values)[3 * len(values) // 4]
