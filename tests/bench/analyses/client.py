"""A client with a live stream that requests an analysis in each round.

`python -m tests.bench.analyses.client URL --rounds N --warm-up S --seconds S --interval S`.
"""

import argparse
import asyncio
import time

from tests.bench.machine import load_average
from tests.support.child_process import run_until_stopped, send
from tests.support.load.footage import footage_path, read_footage
from tests.support.load.round_trip_client import HEIGHT, WIDTH, NumberedCamera, RoundTripClient

_CONNECT_TIMEOUT_S = 30.0
_SETTLE_S = 3.0
"""Pause after an analysis, before the next round."""


async def run(options: argparse.Namespace) -> None:
    """Send the age of captions before and during an analysis, in each round."""
    footage = read_footage(footage_path(), WIDTH, HEIGHT)
    async with RoundTripClient(options.url, NumberedCamera(footage), options.interval) as client:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            await client.connect()
        await asyncio.sleep(options.warm_up)
        for number in range(options.rounds):
            load, started = load_average(), time.time()
            await asyncio.sleep(options.seconds)
            requested = time.time()
            response = await client.request(
                {
                    "type": "analyze",
                    "id": number,
                    "seq": client.captions[-1]["seq"],
                    "kind": "adversarial",
                    "params": {},
                }
            )
            responded = time.time()
            send(
                load_average=load,
                response=response,
                duration_s=responded - requested,
                without_ms=_ages_ms(client, started, requested),
                during_ms=_ages_ms(client, requested, responded),
            )
            await asyncio.sleep(_SETTLE_S)


def _ages_ms(client: RoundTripClient, start: float, end: float) -> list[float]:
    """Return the ages, since the server captured the frame, of the captions of a period."""
    return [
        (caption["received"] - caption["captured"]) * 1e3
        for caption in client.captions
        if start <= caption["received"] < end
    ]


def main() -> None:
    """Run until done or stopped."""
    parser = argparse.ArgumentParser(description="Load generator of the benchmark of analyses.")
    parser.add_argument("url", help="URL of the server")
    parser.add_argument("--rounds", type=int, required=True, help="number of analyses")
    parser.add_argument("--warm-up", type=float, required=True, help="seconds before measuring")
    parser.add_argument("--seconds", type=float, required=True, help="seconds before each analysis")
    parser.add_argument("--interval", type=float, required=True, help="seconds between captions")
    asyncio.run(run_until_stopped(run(parser.parse_args())))


if __name__ == "__main__":
    main()
