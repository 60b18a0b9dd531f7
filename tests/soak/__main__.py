"""Run a server for a long time, and then inject faults.

For an hour the server has four feeds, and viewers that come and go: no resource may grow. Then the
engine, a feed's camera and viewers are killed at random: captions must resume each time.
"""

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.soak.clients import SimulatedClients
from tests.soak.fault_injection import PARTS, FaultInjector, Part
from tests.soak.report import Report
from tests.soak.sampling import Samples, sample
from tests.soak.soak_server import FEEDS, SoakServer

_RESULTS = Path(__file__).parent / "results.json"


async def soak(
    report: Report,
    seconds: float,
    faults: int,
    seed: int,
    program: Sequence[str] = ("server.py",),
    parts: Sequence[Part] = PARTS,
    media_processes: int = 0,
) -> None:
    """Run a server with clients, and then inject faults.

    Args:
        report: Filled with the results; also with those until then, if this is cancelled.
        seconds: Duration without faults; 0 to skip it.
        faults: Number of faults.
        seed: Seed of everything random.
        program: See `ServerProcess.start`.
        parts: Parts that may be killed.
        media_processes: See `ServerProcess.start`.
    """
    async with SoakServer.start(program, media_processes) as server:
        clients = SimulatedClients(server.process.url, FEEDS, seed)
        report.clients = clients.counts
        task = asyncio.create_task(clients.run())
        try:
            if seconds:
                await _measure(seconds, server, clients, report)
            if faults:
                injector = FaultInjector(server, clients, seed)
                report.recoveries = injector.recoveries
                await injector.run(faults, parts)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            log = server.process.log.splitlines()
            report.log_errors = [line for line in log if _is_error(line)]


async def _measure(
    seconds: float, server: SoakServer, clients: SimulatedClients, report: Report
) -> None:
    samples = Samples()
    sampling = asyncio.create_task(sample(server.process, clients, samples))
    try:
        await asyncio.sleep(seconds)
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)
        report.add_samples(samples)


def _is_error(line: str) -> bool:
    """Return whether a line of the log reports an unexpected error."""
    return " ERROR " in line or line.startswith("Traceback")


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=60, help="duration without faults (default: 60)"
    )
    parser.add_argument("--kills", type=int, default=200, help="number of faults (default: 200)")
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random")
    parser.add_argument(
        "--media-processes",
        type=int,
        default=0,
        metavar="N",
        help="media processes, which are killed, too (default: 0)",
    )
    parser.add_argument(
        "--out", type=Path, default=_RESULTS, metavar="JSON", help="file to write the results to"
    )
    options = parser.parse_args()
    report = Report()
    # After Ctrl-C the results until then are reported.
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(
            soak(
                report,
                60 * options.minutes,
                options.kills,
                options.seed,
                parts=(*PARTS, "media process") if options.media_processes else PARTS,
                media_processes=options.media_processes,
            )
        )
    print("\n".join(report.lines()))
    options.out.write_text(json.dumps(report.to_json(), indent=1) + "\n", encoding="utf-8")
    print(f"Results: {options.out}")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
