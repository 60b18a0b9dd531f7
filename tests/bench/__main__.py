"""`python -m tests.bench`: measure, print a table, write JSON."""

import argparse
import asyncio
import datetime
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.bench import analyses, capacity, captioner, explanations, live, steadiness
from tests.bench.child import ChildError
from tests.bench.figures import Figure
from tests.bench.machine import facts, load_average
from tests.bench.plan import Plan
from tests.bench.table import table
from web.settings.server import DEFAULT_CAPTIONER

Bench = Callable[[Plan], Awaitable[dict[str, Any]]]

_BENCHES: dict[str, Bench] = {
    "captioner": captioner.measure,
    "explanations": explanations.measure,
    "live": live.measure,
    "capacity": capacity.measure,
    "analyses": analyses.measure,
    "steadiness": steadiness.measure,
}
_RESULTS = Path(__file__).parent / "results.json"
_BUSY = 0.25
"""Of the cores: with more in use before the start, the figures are doubtful."""
_INTERRUPTED = 130


def main() -> int:
    """Run the command line; return its exit status."""
    options = _parser().parse_args()
    if not (options.captioner / "config.json").is_file():
        return _refuse(f"{options.captioner} holds no captioner; give one with --captioner")
    if not options.out.parent.is_dir():
        return _refuse(f"{options.out.parent} is no folder; choose where to write with --out")
    if options.seconds <= 0 or options.rounds <= 0 or min(options.warm_up, options.origin) < 0:
        return _refuse(
            "--seconds and --rounds must be more than zero, --warm-up and --origin not less"
        )
    try:
        return asyncio.run(_measure(options))
    except (ChildError, OSError) as problem:
        return _refuse(str(problem))
    except KeyboardInterrupt:
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--captioner", type=Path, metavar="DIR", default=DEFAULT_CAPTIONER, help="to measure"
    )
    parser.add_argument("--only", choices=list(_BENCHES), help="one of the benchmarks")
    parser.add_argument("--seconds", type=float, default=20.0, help="of a round (default: 20)")
    parser.add_argument("--rounds", type=int, default=3, help="of each bench (default: 3)")
    parser.add_argument(
        "--warm-up",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="of video before a round: what aiortc's bitrate takes to rise (default: 20)",
    )
    parser.add_argument(
        "--origin",
        type=int,
        default=0,
        metavar="CAPTIONS",
        help="to time in the way of the project's origin too, about 20 s each (default: 0)",
    )
    parser.add_argument("--out", type=Path, default=_RESULTS, metavar="JSON", help="to write")
    return parser


async def _measure(options: argparse.Namespace) -> int:
    plan = Plan(options.captioner, options.rounds, options.seconds, options.warm_up, options.origin)
    machine = facts()
    load = load_average()
    if load[0] > _BUSY * machine["cores"]:
        print(f"The machine is busy (load average {load[0]}): these figures are doubtful.")
    results: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "load_average_before": load,
        "captioner": str(options.captioner),
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "warm_up_s": plan.warm_up_s,
        "benches": {},
    }
    for name in [options.only] if options.only else _BENCHES:
        measured = await _BENCHES[name](plan)
        figures: list[Figure] = measured["figures"]
        print(f"\n{table(figures)}\n", flush=True)
        measured["figures"] = [figure.to_json() for figure in figures]
        results["benches"][name] = measured
    options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"All of it: {options.out}")
    return 0


def _refuse(message: str) -> int:
    print(f"bench: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
