"""A rate limit for incoming requests."""

import time
from collections.abc import Callable


class RateLimit:
    """A token bucket, which allows a rate on average and a burst of two seconds' worth."""

    def __init__(
        self,
        per_s: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        burst: float | None = None,
    ) -> None:
        """Start with a full bucket.

        Args:
            per_s: Tokens that are added per second.
            clock: Returns the time in seconds.
            burst: Capacity of the bucket; two seconds' worth by default, and at least one token.
        """
        self._per_s, self._clock = per_s, clock
        self._capacity = max(1.0, 2 * per_s if burst is None else burst)
        self._tokens, self._filled_at = self._capacity, clock()

    def take(self, count: float = 1) -> bool:
        """Take tokens from the bucket if it holds enough, and return whether it did."""
        self._fill()
        if self._tokens < count:
            return False
        self._tokens -= count
        return True

    def charge(self, count: float) -> None:
        """Take tokens for what has already happened, even if the bucket holds too few.

        The bucket then holds a negative number of tokens, so that the average rate is kept.
        """
        self._fill()
        self._tokens -= count

    def remaining(self) -> int:
        """Return the number of whole tokens in the bucket."""
        self._fill()
        return int(self._tokens)

    def wait_s(self, count: float = 1) -> float:
        """Return the seconds until the bucket holds this many tokens."""
        self._fill()
        return max(0.0, (count - self._tokens) / self._per_s)

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._capacity, self._tokens + (now - self._filled_at) * self._per_s)
        self._filled_at = now
