"""`python -m tests.fuzz`: send the server what nobody should, and see what it does.

Half of the input are SDP offers, answered in this process; a quarter are messages on a data
channel, and a quarter HTTP requests, among them offers, to a server of its own.
"""

import argparse
import asyncio
import contextlib
import sys
import time

from tests.bench.child import Child
from tests.fuzz.campaign import Campaign, Found, TooManyFaults, print_found

KINDS = ("offers", "messages", "requests")
_SHARES = {"offers": 0.5, "messages": 0.25, "requests": 0.25}


async def run(count: int, seed: int, only: str | None = None, first: int = 0) -> Found:
    """Try so much input in all.

    Args:
        count: How much.
        seed: What it is made from.
        only: One of `KINDS`; all by default.
        first: The number of the first.
    """
    campaign = Campaign(seed, first)
    counts = {only: count} if only else {kind: int(count * _SHARES[kind]) for kind in KINDS}
    with contextlib.suppress(TooManyFaults):
        await _try(campaign, counts)
    return campaign.found


async def _try(campaign: Campaign, counts: dict[str, int]) -> None:
    if "offers" in counts:
        await campaign.offers(counts["offers"])
    if "messages" in counts or "requests" in counts:
        async with Child.started("tests.fuzz.fuzzed_server") as server:
            ready = await server.hear()
            url, routes = ready["url"], [(method, path) for method, path in ready["routes"]]
            if "messages" in counts:
                await campaign.messages(counts["messages"], url, server)
            if "requests" in counts:
                await campaign.requests(counts["requests"], url, routes, server)


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="of inputs (default: 100000)")
    parser.add_argument("--seed", type=int, default=1, help="to make them from (default: 1)")
    parser.add_argument("--only", choices=KINDS, help="one kind of input")
    parser.add_argument("--first", type=int, default=0, help="number to begin at (default: 0)")
    options = parser.parse_args()
    begun = time.monotonic()
    found = asyncio.run(run(options.count, options.seed, options.only, options.first))
    print_found(found)
    print(f"{time.monotonic() - begun:.0f} s")
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
