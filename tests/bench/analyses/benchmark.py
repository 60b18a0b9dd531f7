"""Live captions while an adversarial analysis runs, against without; and how long that takes."""

from typing import Any

from tests.bench.child import Child, ChildError
from tests.bench.figures import Figure, Summary, Target
from tests.bench.live import INTERVAL_S
from tests.bench.plan import Plan

_TIMES_AS_OLD = Target(2.0)
_SECONDS = Target(20.0)


async def measure(plan: Plan) -> dict[str, Any]:
    """Run the benchmark; return its `figures`, and `rounds` as JSON values.

    Raises:
        ChildError: If a process fails, or an analysis does.
    """
    measured = []
    async with Child.started("tests.bench.sightline_server", str(plan.captioner)) as server:
        url = (await server.hear())["url"]
        arguments = {
            "--rounds": plan.rounds,
            "--warm-up": plan.warm_up_s,
            "--seconds": plan.seconds,
            "--interval": INTERVAL_S,
        }
        flat = [str(part) for argument in arguments.items() for part in argument]
        async with Child.started("tests.bench.analysing_client", url, *flat) as client:
            for number in range(plan.rounds):
                print(f"analyses: round {number + 1} of {plan.rounds} ...", flush=True)
                measured.append(_checked(await client.hear()))
    return {
        "settings": {"kind": "adversarial", "params": {}, "interval_s": INTERVAL_S},
        "figures": _figures(measured),
        "rounds": [
            {
                "load_average": each["load_average"],
                "took_s": round(each["took_s"], 2),
                "captions_during": len(each["during_ms"]),
            }
            for each in measured
        ],
    }


def _checked(measured: dict[str, Any]) -> dict[str, Any]:
    if measured["answer"]["type"] != "result":
        raise ChildError(f"the analysis failed: {measured['answer']['message']}")
    if not measured["during_ms"] or not measured["without_ms"]:
        raise ChildError("no caption came; measure for longer")
    return measured


def _figures(measured: list[dict[str, Any]]) -> list[Figure]:
    during, without = ([each[name] for each in measured] for name in ("during_ms", "without_ms"))
    ratios = [
        Summary.of(busy).p95 / Summary.of(free).p95
        for busy, free in zip(during, without, strict=True)
    ]
    return [
        Figure.over_rounds(
            "caption's age during an analysis", "ms", during, "without, in the same round", without
        ),
        Figure.over_rounds(
            "its p95, times that without", "", [[ratio] for ratio in ratios], target=_TIMES_AS_OLD
        ),
        Figure.over_rounds(
            "an adversarial analysis", "s", [[each["took_s"]] for each in measured], target=_SECONDS
        ),
    ]
