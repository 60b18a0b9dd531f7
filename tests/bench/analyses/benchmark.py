"""Age of live captions during an adversarial analysis and without one, and its duration."""

from typing import Any

from tests.bench.figures import Figure, Summary, Target
from tests.bench.live.benchmark import INTERVAL_S
from tests.bench.plan import Plan
from tests.support.child_process import Child, ChildError

_MAX_AGE_RATIO = Target(2.0)
_MAX_DURATION_S = Target(20.0)


async def measure(plan: Plan) -> dict[str, Any]:
    """Run the benchmark; return its `figures`, and `rounds` as JSON values.

    Raises:
        ChildError: If a process or an analysis fails.
    """
    measured = []
    async with Child.start("tests.bench.live.sightline_server", str(plan.captioner)) as server:
        url = (await server.receive())["url"]
        options = {
            "--rounds": plan.rounds,
            "--warm-up": plan.warm_up_s,
            "--seconds": plan.seconds,
            "--interval": INTERVAL_S,
        }
        arguments = [str(part) for option in options.items() for part in option]
        async with Child.start("tests.bench.analyses.client", url, *arguments) as client:
            for number in range(plan.rounds):
                print(f"analyses: round {number + 1} of {plan.rounds} ...", flush=True)
                measured.append(_check(await client.receive()))
    return {
        "settings": {"kind": "adversarial", "params": {}, "interval_s": INTERVAL_S},
        "figures": _figures(measured),
        "rounds": [
            {
                "load_average": each["load_average"],
                "duration_s": round(each["duration_s"], 2),
                "captions_during": len(each["during_ms"]),
            }
            for each in measured
        ],
    }


def _check(measured: dict[str, Any]) -> dict[str, Any]:
    if measured["response"]["type"] != "result":
        raise ChildError(f"the analysis failed: {measured['response']['message']}")
    if not measured["during_ms"] or not measured["without_ms"]:
        raise ChildError("no caption arrived; measure for longer")
    return measured


def _figures(measured: list[dict[str, Any]]) -> list[Figure]:
    during, without = ([each[name] for each in measured] for name in ("during_ms", "without_ms"))
    ratios = [
        Summary.of(busy).p95 / Summary.of(idle).p95
        for busy, idle in zip(during, without, strict=True)
    ]
    return [
        Figure.over_rounds(
            "age of captions during an analysis", "ms", during, "without an analysis", without
        ),
        Figure.over_rounds(
            "ratio of the p95 ages", "", [[ratio] for ratio in ratios], target=_MAX_AGE_RATIO
        ),
        Figure.over_rounds(
            "duration of an adversarial analysis",
            "s",
            [[each["duration_s"]] for each in measured],
            target=_MAX_DURATION_S,
        ),
    ]
