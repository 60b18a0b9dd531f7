"""Test a session over a link that loses 5 % of its packets and stalls for 3 s.

The link connects two network namespaces that this command creates. It needs root or the permission
to create user namespaces.
"""

import argparse
import asyncio
import os
import subprocess
import sys

from tests.network.link_session import MAX_RECOVERY_S, STALL_S, LinkSession
from tests.support.servers.server_process import SCRIPTED

LOSS = 0.05
MIN_FRAMES = 0.6
"""Minimum share of the frame rate at this loss: each frame takes several packets in each direction,
and their retransmissions may be lost too."""


async def run(options: argparse.Namespace) -> bool:
    """Print the measurements; return whether all targets were met."""
    program = SCRIPTED if options.scripted else ("server.py",)
    all_met = True
    async with LinkSession.start(options.seed, program) as session:
        for loss in (0.0, LOSS):
            throughput = await session.measure_throughput(loss, options.seconds)
            met = throughput.frames >= options.min_frames and throughput.captions_per_s > 0
            all_met &= met
            print(
                f"loss {loss:.0%}: {throughput.frames:.1%} of frames returned, "
                f"{throughput.damaged} damaged, longest gap {throughput.longest_gap_s:.2f} s, "
                f"{throughput.captions_per_s:.2f} captions/s: "
                f"{_verdict(met)}: at least {options.min_frames:.0%} of frames, and captions",
                flush=True,
            )
        for loss in (0.0, LOSS):
            session.link.loss = loss
            for _ in range(options.stalls):
                recovery = await session.measure_recovery()
                met = max(recovery.frame_s, recovery.caption_s) <= MAX_RECOVERY_S
                all_met &= met
                print(
                    f"after a stall of {STALL_S:g} s, loss {loss:.0%}: frames after "
                    f"{recovery.frame_s:.2f} s, captions after {recovery.caption_s:.2f} s: "
                    f"{_verdict(met)}: at most {MAX_RECOVERY_S:g} s",
                    flush=True,
                )
                await asyncio.sleep(options.pause)
    return all_met


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.network", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="seed of the packet loss (default: 1)")
    parser.add_argument(
        "--seconds", type=float, default=30, help="measurement of each loss rate (default: 30)"
    )
    parser.add_argument(
        "--stalls", type=int, default=5, help="stalls at each loss rate (default: 5)"
    )
    parser.add_argument(
        "--pause", type=float, default=5, help="seconds after each stall (default: 5)"
    )
    parser.add_argument(
        "--min-frames",
        type=float,
        default=MIN_FRAMES,
        help=f"least share of frames that must return (default: {MIN_FRAMES:g})",
    )
    parser.add_argument(
        "--scripted", action="store_true", help="use scripted captions instead of the captioner"
    )
    options = parser.parse_args()
    # An unprivileged user is root in a new user namespace, which may create network namespaces.
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    probe = subprocess.run(
        ["unshare", *as_root, "--net", "true"], capture_output=True, text=True, check=False
    )
    if probe.returncode:
        print(
            f"network: cannot create a network namespace: {probe.stderr.strip()}", file=sys.stderr
        )
        print("Run as root, or allow user namespaces and /dev/net/tun.", file=sys.stderr)
        return 2
    if as_root:
        command = [sys.executable, "-m", "tests.network", *sys.argv[1:]]
        os.execvp("unshare", ["unshare", *as_root, *command])
    return 0 if asyncio.run(run(options)) else 1


if __name__ == "__main__":
    sys.exit(main())
