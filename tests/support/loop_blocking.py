"""How long the event loop is held up while something happens."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

HELD_UP_S = 2.0
"""What no waiting for a source comes under, and no busy machine over."""


_STEP_S = 0.01


@dataclass
class LoopPauses:
    """What was seen of the loop."""

    longest_s: float = 0.0
    """The longest time that it was held up."""


@asynccontextmanager
async def loop_pauses() -> AsyncIterator[LoopPauses]:
    """Watch the loop for as long as the context lasts."""
    pauses = LoopPauses()

    async def watch() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(_STEP_S)
            pauses.longest_s = max(pauses.longest_s, time.monotonic() - began - _STEP_S)

    watching = asyncio.create_task(watch())
    try:
        yield pauses
    finally:
        watching.cancel()
