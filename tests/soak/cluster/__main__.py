"""Let the parts of a cluster fail at random, and check that it keeps its promises.

Three servers share five feeds, each on a machine of its own (a network namespace). Servers are
killed, stopped and suspended, the database is killed, and the network between them is cut. No
feed may be captioned by two servers, or by none for more than 10 s; every caption in the database
reaches every server once; nobody is logged out. It needs root, for the namespaces.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.soak.cluster.faults import KINDS, FaultInjector
from tests.soak.cluster.machines import machines
from tests.soak.cluster.observation import Observation
from tests.soak.cluster.record import MAX_GAP_S, Record
from tests.soak.cluster.servers import FEEDS, SoakCluster

_SETTLE_S = 6.0
"""Time after the last fault, so that the last captions arrive."""

_EXPECTED = "captions are queued: the history in"
"""What the log says of the history while the database is away."""

_IN_NAMESPACE = "SIGHTLINE_SOAK_NAMESPACE"


async def soak(
    record: Record, servers: int, feeds: int, faults: int, seed: int, kinds: Sequence[str]
) -> list[str]:
    """Run a cluster, and let its parts fail; return the errors in the servers' logs.

    Args:
        record: Filled with what happens.
        servers: Number of servers.
        feeds: Number of feeds.
        faults: Number of faults.
        seed: Seed of everything random.
        kinds: Kinds of faults.
    """
    with machines(servers) as found:
        async with SoakCluster.start(found, FEEDS[:feeds]) as cluster:
            observation = Observation(cluster, record)
            observing = asyncio.create_task(observation.run())
            try:
                await observation.log_in()
                await FaultInjector(cluster, observation, record, seed).run(faults, kinds)
                await asyncio.sleep(_SETTLE_S)
                await observation.read_rest()
            finally:
                observing.cancel()
                await asyncio.gather(observing, return_exceptions=True)
            log = cluster.log.splitlines()
    return [line for line in log if _is_error(line)]


def _is_error(line: str) -> bool:
    """Return whether a line of the log reports an error that the faults do not explain."""
    if _EXPECTED in line:
        return False
    return " ERROR " in line or line.startswith("Traceback")


def report(record: Record, errors: list[str]) -> list[str]:
    """Format what happened as lines of text."""
    lines = [
        f"{len(record.committed)} captions in the database, "
        f"{sum(len(each.ids) for each in record.followers)} sent by the servers"
    ]
    for kind, times_s in record.recoveries_s.items():
        ordered = sorted(times_s)
        lines.append(
            f"{kind}: {len(ordered)} faults, captions everywhere after "
            f"{ordered[len(ordered) // 2]:.1f} s (median), {ordered[-1]:.1f} s (maximum)"
        )
    gaps = record.longest_gaps_s()
    lines.append(
        f"longest time without a captioner: {max(gaps.values(), default=0.0):.1f} s "
        f"(limit {MAX_GAP_S:g} s), not counting {sum(b - a for a, b in record.outages):.0f} s "
        "without the database"
    )
    failures = [*record.failures(), *errors]
    return lines + [f"FAILED: {each}" for each in failures] + ["" if failures else "All met."]


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.cluster", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="number of faults (default: 50)")
    parser.add_argument("--servers", type=int, default=3, help="number of servers (default: 3)")
    parser.add_argument(
        "--feeds", type=int, default=len(FEEDS), help=f"number of feeds (default: {len(FEEDS)})"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random")
    parser.add_argument(
        "--kind", action="append", choices=KINDS, help="kind of fault; may be repeated"
    )
    parser.add_argument("--out", type=Path, metavar="JSON", help="file to write the figures to")
    options = parser.parse_args()
    if _IN_NAMESPACE not in os.environ:
        if os.geteuid():
            print("network namespaces need root; run this as root", file=sys.stderr)
            return 2
        command = [sys.executable, "-m", "tests.soak.cluster", *sys.argv[1:]]
        os.execvpe("unshare", ["unshare", "--net", *command], {**os.environ, _IN_NAMESPACE: "1"})
    record = Record()
    kinds = options.kind or KINDS
    errors = asyncio.run(
        soak(record, options.servers, options.feeds, options.kills, options.seed, kinds)
    )
    lines = report(record, errors)
    print("\n".join(lines))
    if options.out:
        figures = {
            "recoveries_s": record.recoveries_s,
            "longest_gaps_s": record.longest_gaps_s(),
            "captions": len(record.committed),
            "failures": record.failures() + errors,
        }
        options.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 1 if record.failures() or errors else 0


if __name__ == "__main__":
    sys.exit(main())
