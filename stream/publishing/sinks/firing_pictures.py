"""The pictures of what rules fired on, for sinks that send them with a firing."""

import asyncio

from stream.history import Firing, History, HistoryBusy, HistoryError
from stream.quota import QuotaExceeded

MAX_WAIT_S = 0.4
"""How long a firing waits for its picture, which is stored a moment after it."""

_POLL_S = 0.05
_MAX_READING = 4
"""Firings whose pictures are read at once; others wait, no longer than `MAX_WAIT_S` either."""


class FiringPictures:
    """Reads them from the history, which all servers of a cluster share."""

    def __init__(self, history: History) -> None:
        """Read from a history that stores pictures."""
        self._history, self._reading = history, asyncio.Semaphore(_MAX_READING)

    async def find(self, firing: Firing) -> bytes | None:
        """Return a firing's picture as WebP, as soon as it is stored; None if it is not in time."""
        try:
            async with asyncio.timeout(MAX_WAIT_S), self._reading:
                while True:
                    if image := await self._read(firing):
                        return image
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            return None

    async def _read(self, firing: Firing) -> bytes | None:
        try:
            picture = await self._history.firing_picture(firing)
        except (HistoryError, HistoryBusy, QuotaExceeded):
            return None
        return picture.image if picture else None
