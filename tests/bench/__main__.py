"""Run the benchmarks, print their figures, and write them as JSON."""

import argparse
import asyncio
import datetime
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from models.catalogue import SHIPPED_FOLDER
from tests.bench import pool, steadiness
from tests.bench.analyses import benchmark as analyses
from tests.bench.capacity import benchmark as capacity
from tests.bench.capacity import processes
from tests.bench.captioner import benchmark as captioner
from tests.bench.explanations import benchmark as explanations
from tests.bench.figures import Figure, format_table
from tests.bench.live import benchmark as live
from tests.bench.machine import load_average, machine_facts
from tests.bench.plan import Plan
from tests.support.child_process import ChildError

Benchmark = Callable[[Plan], Awaitable[dict[str, Any]]]

_BENCHMARKS: dict[str, Benchmark] = {
    "captioner": captioner.measure,
    "explanations": explanations.measure,
    "live": live.measure,
    "capacity": capacity.measure,
    "processes": processes.measure,
    "analyses": analyses.measure,
    "steadiness": steadiness.measure,
    "pool": pool.measure,
}
_RESULTS = Path(__file__).parent / "results.json"
_MAX_LOAD_PER_CORE = 0.25
"""Load average before the start above which the figures are unreliable."""
_INTERRUPTED = 130


def main() -> int:
    """Run the command line; return its exit status."""
    options = _parser().parse_args()
    if not (options.captioner / "config.json").is_file():
        return _fail(f"{options.captioner} contains no captioner; set --captioner")
    if not options.out.parent.is_dir():
        return _fail(f"the folder {options.out.parent} does not exist; set --out")
    if options.seconds <= 0 or options.rounds <= 0 or min(options.warm_up, options.origin) < 0:
        return _fail("--seconds and --rounds must be positive, --warm-up and --origin not negative")
    try:
        return asyncio.run(_measure(options))
    except (ChildError, OSError) as problem:
        return _fail(str(problem))
    except KeyboardInterrupt:
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--captioner",
        type=Path,
        metavar="DIR",
        default=SHIPPED_FOLDER,
        help="captioner to measure (default: the shipped one)",
    )
    parser.add_argument("--only", choices=list(_BENCHMARKS), help="run one benchmark")
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="duration of a round (default: 20)"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="rounds of each benchmark (default: 3)"
    )
    parser.add_argument(
        "--warm-up",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="video before a round, until aiortc's bitrate has risen (default: 20)",
    )
    parser.add_argument(
        "--origin",
        type=int,
        default=0,
        metavar="CAPTIONS",
        help="captions by the project's original method, about 20 s each (default: 0)",
    )
    parser.add_argument(
        "--out", type=Path, default=_RESULTS, metavar="JSON", help="file to write the results to"
    )
    return parser


async def _measure(options: argparse.Namespace) -> int:
    plan = Plan(options.captioner, options.rounds, options.seconds, options.warm_up, options.origin)
    machine = machine_facts()
    load = load_average()
    if load[0] > _MAX_LOAD_PER_CORE * machine["cores"]:
        print(f"Warning: the machine is busy (load average {load[0]}); the figures are unreliable.")
    results: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "load_average_before": load,
        "captioner": str(options.captioner),
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "warm_up_s": plan.warm_up_s,
        "benchmarks": {},
    }
    for name in [options.only] if options.only else _BENCHMARKS:
        measured = await _BENCHMARKS[name](plan)
        figures: list[Figure] = measured["figures"]
        print(f"\n{format_table(figures)}\n", flush=True)
        measured["figures"] = [figure.to_json() for figure in figures]
        results["benchmarks"][name] = measured
    options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"Results: {options.out}")
    return 0


def _fail(message: str) -> int:
    print(f"bench: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
