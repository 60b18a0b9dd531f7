"""`python -m tests.soak`: run a server for long, and kill parts of it.

First an hour with four feeds, and viewers who come and go: nothing may grow. Then the engine, a
feed's camera and viewers are killed at random: captions have to be back each time.
"""

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.soak.audience import Audience
from tests.soak.kills import PARTS, Kills, Part
from tests.soak.report import Report
from tests.soak.sampling import Samples, sample
from tests.soak.scene import FEEDS, Scene

_RESULTS = Path(__file__).parent / "results.json"


async def soak(
    report: Report,
    seconds: float,
    kills: int,
    seed: int,
    program: Sequence[str] = ("server.py",),
    parts: Sequence[Part] = PARTS,
) -> None:
    """Run a server.

    Args:
        report: Takes what is found; whoever cancels this has in it what was found until then.
        seconds: With viewers who come and go, and nothing else; 0 to leave that out.
        kills: How many parts are then killed.
        seed: Of all that is left to chance.
        program: As `RunningServer.started` takes it.
        parts: What may be killed.
    """
    async with Scene.begun(program) as scene:
        audience = Audience(scene.server.url, FEEDS, seed)
        report.visits = audience.visits
        visiting = asyncio.create_task(audience.run())
        try:
            if seconds:
                await _wait(seconds, scene, audience, report)
            if kills:
                killing = Kills(scene, audience, seed)
                report.recoveries = killing.recoveries
                await killing.run(kills, parts)
        finally:
            visiting.cancel()
            await asyncio.gather(visiting, return_exceptions=True)
            report.log_errors = [line for line in scene.server.log.splitlines() if _tells(line)]


async def _wait(seconds: float, scene: Scene, audience: Audience, report: Report) -> None:
    samples = Samples()
    sampling = asyncio.create_task(sample(scene.server, audience, samples))
    try:
        await asyncio.sleep(seconds)
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)
        report.take_samples(samples)


def _tells(line: str) -> bool:
    """Whether a line of the log tells of what nobody foresaw."""
    return " ERROR " in line or line.startswith("Traceback")


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="of the first part (default: 60)")
    parser.add_argument("--kills", type=int, default=200, help="in the second (default: 200)")
    parser.add_argument("--seed", type=int, default=1, help="of what is left to chance")
    parser.add_argument("--out", type=Path, default=_RESULTS, metavar="JSON", help="to write")
    options = parser.parse_args()
    report = Report()
    # Who ends it early is told what was found until then.
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(soak(report, 60 * options.minutes, options.kills, options.seed))
    print("\n".join(report.lines()))
    options.out.write_text(json.dumps(report.to_json(), indent=1) + "\n", encoding="utf-8")
    print(f"All of it: {options.out}")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
