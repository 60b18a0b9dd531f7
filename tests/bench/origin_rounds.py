"""Times captions in the way of the origin: `python -m tests.bench.origin_rounds CAPTIONS`."""

import asyncio
import sys

import numpy as np

from tests.bench.orders import run_until_dismissed, say
from tests.bench.origin_captioner import SIDE, OriginCaptioner


async def run(captions: int) -> None:
    """Tell the time of each caption; one before them, which compiles all, is not told."""
    captioner = await asyncio.to_thread(OriginCaptioner)
    random = np.random.default_rng(0)
    for number in range(captions + 1):
        picture = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        took = await asyncio.to_thread(captioner.caption, picture)
        if number:
            say(ms=took)


if __name__ == "__main__":
    asyncio.run(run_until_dismissed(run(int(sys.argv[1]))))
