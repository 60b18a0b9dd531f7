"""A bound on how often something may happen."""

import time
from collections.abc import Callable


class RateLimit:
    """A token bucket: so many a second on average, and two seconds' worth at once."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with a full bucket."""
        self._per_s, self._clock = per_s, clock
        self._most = max(1.0, 2 * per_s)
        self._left, self._at = self._most, clock()

    def take(self) -> bool:
        """Take one token, if there is one."""
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
