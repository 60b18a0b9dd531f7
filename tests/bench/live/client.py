"""The load generator of the live benchmark.

`python -m tests.bench.live.client URL --warm-up S --seconds S [--interval S]`.
"""

import argparse
import asyncio
import time

from tests.support.child_process import run_until_stopped, send
from tests.support.load.footage import footage_path, read_footage
from tests.support.load.round_trip_client import HEIGHT, WIDTH, NumberedCamera, RoundTripClient

_CONNECT_TIMEOUT_S = 30.0
_LATE_S = 1.0
"""How long after the measurement a frame sent within it may return and still count."""


async def run(options: argparse.Namespace) -> None:
    """Measure once; send messages at the start and the end, and then the result."""
    camera = NumberedCamera(read_footage(footage_path(), WIDTH, HEIGHT))
    async with RoundTripClient(options.url, camera, options.interval) as client:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            await client.connect()
        await asyncio.sleep(options.warm_up)
        start = time.time()
        send(event="start")
        await asyncio.sleep(options.seconds)
        end = time.time()
        send(event="end")
        await asyncio.sleep(_LATE_S)
    # After the disconnection: the parent stops this process once it has the result.
    send(
        event="result",
        start=start,
        end=end,
        sent=list(camera.sent.items()),
        returned=client.returned,
        captions=client.captions,
    )


def main() -> None:
    """Run until done or stopped."""
    parser = argparse.ArgumentParser(description="Load generator of the live benchmark.")
    parser.add_argument("url", help="URL of the server")
    parser.add_argument("--warm-up", type=float, required=True, help="seconds before measuring")
    parser.add_argument("--seconds", type=float, required=True, help="duration of the measurement")
    parser.add_argument("--interval", type=float, help="seconds between captions; none by default")
    asyncio.run(run_until_stopped(run(parser.parse_args())))


if __name__ == "__main__":
    main()
