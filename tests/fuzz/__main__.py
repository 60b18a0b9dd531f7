"""Submit mutated input to the server, and report faults.

Half of the inputs are SDP offers, answered in this process; a quarter are data-channel messages,
and a quarter HTTP requests, some of them with offers, to a server in a process of its own.
"""

import argparse
import asyncio
import contextlib
import sys
import time

from tests.fuzz.campaign import Campaign, CampaignResult, TooManyFaults, print_result
from tests.support.child_process import Child

KINDS = ("offers", "messages", "requests")
_SHARES = {"offers": 0.5, "messages": 0.25, "requests": 0.25}


async def run(count: int, seed: int, only: str | None = None, first: int = 0) -> CampaignResult:
    """Run a campaign.

    Args:
        count: Total number of inputs.
        seed: Seed of the inputs.
        only: One of `KINDS`; all by default.
        first: Number of the first input of each kind.
    """
    campaign = Campaign(seed, first)
    counts = {only: count} if only else {kind: int(count * _SHARES[kind]) for kind in KINDS}
    with contextlib.suppress(TooManyFaults):
        await _fuzz(campaign, counts)
    return campaign.result


async def _fuzz(campaign: Campaign, counts: dict[str, int]) -> None:
    if "offers" in counts:
        await campaign.fuzz_offers(counts["offers"])
    if "messages" in counts or "requests" in counts:
        async with Child.start("tests.fuzz.fuzzed_server") as server:
            ready = await server.receive()
            url, routes = ready["url"], [(method, path) for method, path in ready["routes"]]
            if "messages" in counts:
                await campaign.fuzz_messages(counts["messages"], url, server)
            if "requests" in counts:
                await campaign.fuzz_requests(counts["requests"], url, routes, server)


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "--count", type=int, default=100_000, help="number of inputs (default: 100000)"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the inputs (default: 1)")
    parser.add_argument("--only", choices=KINDS, help="one kind of input")
    parser.add_argument(
        "--first", type=int, default=0, help="number of the first input (default: 0)"
    )
    options = parser.parse_args()
    started = time.monotonic()
    result = asyncio.run(run(options.count, options.seed, options.only, options.first))
    print_result(result)
    print(f"{time.monotonic() - started:.0f} s")
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
