"""Measure how long callbacks block the event loop."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

MAX_BLOCKED_S = 2.0
"""Longer than a busy machine delays the loop, and shorter than any blocking wait for a source."""

_INTERVAL_S = 0.01


@dataclass
class LoopBlocking:
    """The longest time that the loop was blocked, in seconds."""

    longest_s: float = 0.0


@asynccontextmanager
async def measure_loop_blocking() -> AsyncIterator[LoopBlocking]:
    """Measure the running loop until the context ends."""
    blocking = LoopBlocking()

    async def measure() -> None:
        while True:
            started = time.monotonic()
            await asyncio.sleep(_INTERVAL_S)
            late_s = time.monotonic() - started - _INTERVAL_S
            blocking.longest_s = max(blocking.longest_s, late_s)

    task = asyncio.create_task(measure())
    try:
        yield blocking
    finally:
        task.cancel()
