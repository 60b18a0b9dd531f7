"""`python -m tests.network`: a session over a line that loses 5 % of all, and stalls for 3 s.

The line is made here, between network namespaces of its own; who is not root needs leave to make
them (user namespaces).
"""

import argparse
import asyncio
import os
import subprocess
import sys

from tests.network.trial import BACK_S, STALL_S, Trial
from tests.support.running_server import SCRIPTED

LOSS = 0.05
LEAST_PICTURES = 0.6
"""Part of all pictures that is to come when so much is lost: each takes several packets, both on
the way there and on the way back, and what is asked for again may be lost again."""


async def run(options: argparse.Namespace) -> bool:
    """Print what happened; return whether all was as it is to be."""
    program = SCRIPTED if options.scripted else ("server.py",)
    well = True
    async with Trial.begun(options.seed, program) as trial:
        for loss in (0.0, LOSS):
            flow = await trial.flow(loss, options.seconds)
            flows = flow.pictures >= LEAST_PICTURES and flow.captions_per_s > 0
            well &= flows
            print(
                f"{loss:.0%} lost: {flow.pictures:.1%} of the pictures back, {flow.damaged} of "
                f"them damaged, longest pause {flow.longest_s:.2f} s; "
                f"{flow.captions_per_s:.2f} captions a second: "
                f"{_verdict(flows)}: at least {LEAST_PICTURES:.0%} of the pictures, and captions",
                flush=True,
            )
        for loss in (0.0, LOSS):
            trial.line.loss = loss
            for _ in range(options.stalls):
                back = await trial.stall()
                reached = max(back.picture_s, back.caption_s) <= BACK_S
                well &= reached
                print(
                    f"after {STALL_S:g} s of nothing, {loss:.0%} lost: pictures after "
                    f"{back.picture_s:.2f} s, captions after {back.caption_s:.2f} s: "
                    f"{_verdict(reached)}: at most {BACK_S:g} s",
                    flush=True,
                )
                await asyncio.sleep(options.pause)
    return well


def _verdict(reached: bool) -> str:
    return "reached" if reached else "MISSED"


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.network", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of what is lost (default: 1)")
    parser.add_argument("--seconds", type=float, default=30, help="of each loss (default: 30)")
    parser.add_argument("--stalls", type=int, default=5, help="at each loss (default: 5)")
    parser.add_argument("--pause", type=float, default=5, help="seconds after each (default: 5)")
    parser.add_argument(
        "--scripted", action="store_true", help="with a captioner that says one thing"
    )
    options = parser.parse_args()
    # Who is not root is it in a user namespace, where network namespaces can be made.
    within = [] if os.geteuid() == 0 else ["--map-root-user"]
    asked = subprocess.run(
        ["unshare", *within, "--net", "true"], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        told = asked.stderr.strip()
        print(f"network: no network namespace can be made here: {told}", file=sys.stderr)
        print("Be root, or allow user namespaces, and have /dev/net/tun.", file=sys.stderr)
        return 2
    if within:
        again = [sys.executable, "-m", "tests.network", *sys.argv[1:]]
        os.execvp("unshare", ["unshare", *within, *again])
    return 0 if asyncio.run(run(options)) else 1


if __name__ == "__main__":
    sys.exit(main())
