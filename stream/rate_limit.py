"""A bound on how often something may happen.

How long to wait before a source is tried again.
"""

import random
import time
from collections.abc import Callable

FIRST_S = 1.0
LONGEST_S = 60.0
_JITTER = 0.2


class RateLimit:
    """A token bucket: so many a second on average, and two seconds' worth at once."""

    def __init__(
        self,
        per_s: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        burst: float | None = None,
    ) -> None:
        """Start with a full bucket; it holds two seconds' worth, or `burst`."""
        self._per_s, self._clock = per_s, clock
        self._most = max(1.0, 2 * per_s if burst is None else burst)
        self._left, self._at = self._most, clock()

    def take(self, count: float = 1) -> bool:
        """Take one token, or so many, if there are as many."""
        self._fill()
        if self._left < count:
            return False
        self._left -= count
        return True

    def left(self) -> int:
        """Say how many whole tokens there are."""
        self._fill()
        return int(self._left)

    def wait_s(self, count: float = 1) -> float:
        """Say how many seconds it takes until there are so many."""
        self._fill()
        return max(0.0, (count - self._left) / self._per_s)

    def _fill(self) -> None:
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now


class Pauses:
    """Pauses that double from one failure to the next.

    Each is up to a fifth shorter or longer, so that many feeds that lost one network do not come
    back at once.
    """

    def __init__(self, first_s: float = FIRST_S, longest_s: float = LONGEST_S) -> None:
        """Begin with the first pause.

        Args:
            first_s: In seconds.
            longest_s: In seconds; where doubling ends.
        """
        self._first_s, self._longest_s = first_s, longest_s
        self._next_s = first_s

    def next_s(self) -> float:
        """Give the seconds to wait now."""
        pause_s = self._next_s
        self._next_s = min(2 * pause_s, self._longest_s)
        return pause_s * random.uniform(1 - _JITTER, 1 + _JITTER)

    def reset(self) -> None:
        """Begin anew, since it went well."""
        self._next_s = self._first_s
