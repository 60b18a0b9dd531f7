"""`python -m tests.network`: a session over a line that loses 5 % of all, and stalls for 3 s.

The line is made here, between network namespaces of its own; who is not root needs leave to make
them (user namespaces).
"""

import argparse
import asyncio
import os
import sys

from tests.network.trial import BACK_S, Trial

LOSS = 0.05


async def run(seed: int, seconds: float, stalls: int) -> bool:
    """Print what happened; return whether all was as it is to be."""
    well = True
    async with Trial.begun(seed) as trial:
        for loss in (0.0, LOSS):
            flow = await trial.flow(loss, seconds)
            print(
                f"{loss:.0%} lost: {flow.pictures:.1%} of the pictures back, {flow.damaged} of "
                f"them damaged, longest pause {flow.longest_s:.2f} s; "
                f"{flow.captions_per_s:.2f} captions a second",
                flush=True,
            )
        for loss in (0.0, LOSS):
            trial.line.loss = loss
            for _ in range(stalls):
                back = await trial.stall()
                reached = max(back.picture_s, back.caption_s) <= BACK_S
                well &= reached or loss > 0
                print(
                    f"after 3 s of nothing, {loss:.0%} lost: pictures after {back.picture_s:.2f} s,"
                    f" captions after {back.caption_s:.2f} s: "
                    f"{'reached' if reached else 'MISSED'}: at most {BACK_S:g} s",
                    flush=True,
                )
                await asyncio.sleep(5)
    return well


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.network", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of what is lost (default: 1)")
    parser.add_argument("--seconds", type=float, default=30, help="of each loss (default: 30)")
    parser.add_argument("--stalls", type=int, default=5, help="of each loss (default: 5)")
    options = parser.parse_args()
    if os.geteuid():
        # As root of a user namespace: network namespaces can be made there.
        os.execvp("unshare", ["unshare", "--map-root-user", sys.executable, *_again()])
    return 0 if asyncio.run(run(options.seed, options.seconds, options.stalls)) else 1


def _again() -> list[str]:
    return ["-m", "tests.network", *sys.argv[1:]]


if __name__ == "__main__":
    sys.exit(main())
