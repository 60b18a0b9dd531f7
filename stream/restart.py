"""Trying again: a backoff between attempts, and services that restart when they have failed."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

_INITIAL_DELAY_S = 1.0
_MAX_DELAY_S = 60.0
_JITTER = 0.2

logger = logging.getLogger(__name__)


class Backoff:
    """Exponential backoff: a delay that doubles with each failure, up to a maximum.

    Each delay varies by up to 20 %, so that feeds that lost the same network do not all reconnect
    at once.
    """

    def __init__(self, initial_s: float = _INITIAL_DELAY_S, max_s: float = _MAX_DELAY_S) -> None:
        """Start with the initial delay.

        Args:
            initial_s: First delay, in seconds.
            max_s: Longest delay, in seconds.
        """
        self._initial_s, self._max_s = initial_s, max_s
        self._next_s = initial_s

    @property
    def max_s(self) -> float:
        """The longest delay, in seconds."""
        return self._max_s

    def next_delay_s(self) -> float:
        """Return the seconds to wait before the next attempt, and double the delay after it."""
        delay_s = self._next_s
        self._next_s = min(2 * delay_s, self._max_s)
        return delay_s * random.uniform(1 - _JITTER, 1 + _JITTER)

    def reset(self) -> None:
        """Return to the initial delay, after an attempt succeeded."""
        self._next_s = self._initial_s


async def restart_on_failure(
    name: str, work: Callable[[], Awaitable[None]], backoff: Backoff | None = None
) -> None:
    """Run a service until it ends or is cancelled; after an exception it is logged and restarted.

    Args:
        name: What failed, in the log.
        work: Starts the service.
        backoff: Delays before the restarts; it begins again with a service that ran for longer
            than the longest delay.
    """
    backoff = backoff or Backoff()
    while True:
        started = time.monotonic()
        try:
            return await work()
        except Exception:
            if time.monotonic() - started > backoff.max_s:
                backoff.reset()
            delay_s = backoff.next_delay_s()
            logger.exception("%s failed; it restarts in %.0f s", name, delay_s)
            await asyncio.sleep(delay_s)
