"""The load of the analyses' benchmark: a live stream, of which a caption is analysed now and then.

`python -m tests.bench.analysing_client URL --rounds N --warm-up S --seconds S --interval S`.
"""

import argparse
import asyncio
import time

from tests.bench.client import HEIGHT, WIDTH, Camera, Client
from tests.bench.footage import footage_path, read_footage
from tests.bench.machine import load_average
from tests.bench.orders import run_until_dismissed, say

_CONNECT_S = 30.0
_SETTLE_S = 3.0
"""After an analysis, before the next round begins."""


async def run(options: argparse.Namespace) -> None:
    """In each round watch the captions for a while, then during an analysis; tell their ages."""
    footage = read_footage(footage_path(), WIDTH, HEIGHT)
    async with Client(options.url, Camera(footage), options.interval) as client:
        async with asyncio.timeout(_CONNECT_S):
            await client.connect()
        await asyncio.sleep(options.warm_up)
        for number in range(options.rounds):
            load, begun = load_average(), time.time()
            await asyncio.sleep(options.seconds)
            asked = time.time()
            answer = await client.ask(
                {
                    "type": "analyze",
                    "id": number,
                    "seq": client.captions[-1]["seq"],
                    "kind": "adversarial",
                    "params": {},
                }
            )
            answered = time.time()
            say(
                load_average=load,
                answer=answer,
                took_s=answered - asked,
                without_ms=_ages_ms(client, begun, asked),
                during_ms=_ages_ms(client, asked, answered),
            )
            await asyncio.sleep(_SETTLE_S)


def _ages_ms(client: Client, begun: float, ended: float) -> list[float]:
    """Of the captions that came in that time, since the server had their pictures."""
    return [
        (caption["came"] - caption["captured"]) * 1e3
        for caption in client.captions
        if begun <= caption["came"] < ended
    ]


def main() -> None:
    """Run until the work is done, or the process that started this one is gone."""
    parser = argparse.ArgumentParser(description="The load generator of the analyses' benchmark.")
    parser.add_argument("url", help="of the server")
    parser.add_argument("--rounds", type=int, required=True, help="an analysis in each")
    parser.add_argument("--warm-up", type=float, required=True, help="seconds before measuring")
    parser.add_argument("--seconds", type=float, required=True, help="before each analysis")
    parser.add_argument("--interval", type=float, required=True, help="seconds between captions")
    asyncio.run(run_until_dismissed(run(parser.parse_args())))


if __name__ == "__main__":
    main()
