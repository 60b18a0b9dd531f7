"""Time of a caption in the shipped model, in the plain way and in that of the origin."""

import statistics
from typing import Any

from tests.bench.child import Child
from tests.bench.figures import Figure, Target
from tests.bench.plan import Plan

_PARTS = ("encoder", "decoder", "total")
_TARGET_MS = Target(25)
_TIMES_THE_ORIGIN = Target(600, at_least=True)
_PLAIN = {
    "encoder": "Keras predict",
    "decoder": "eager, step by step",
    "total": "both",
}


async def measure(plan: Plan) -> dict[str, Any]:
    """Run the benchmark; return its `figures`, and `rounds` as JSON values.

    Raises:
        ChildError: If the process that measures fails.
    """
    arguments = (str(plan.captioner), str(plan.rounds), str(plan.seconds))
    measured = []
    async with Child.started("tests.bench.model_rounds", *arguments) as child:
        for number in range(plan.rounds):
            print(f"captioner: round {number + 1} of {plan.rounds} ...", flush=True)
            measured.append(await child.hear())
    samples = [measured_round["samples"] for measured_round in measured]
    return {
        "settings": {"beam_width": 3, "batch": 1},
        "figures": [
            *(figure for part in _PARTS for figure in _figures(part, samples)),
            _agreement(samples),
            *_encoders(samples),
            *_rates(samples),
            *(await _origin(plan, samples)),
        ],
        "rounds": [
            {
                "captions": len(measured_round["samples"]),
                "same_captions": sum(
                    sample["same_caption"] for sample in measured_round["samples"]
                ),
                "load_average": measured_round["load_average"],
                "cpu_s": round(measured_round["cpu_s"], 2),
            }
            for measured_round in measured
        ],
    }


def _figures(part: str, rounds: list[list[dict[str, Any]]]) -> list[Figure]:
    shipped = [[sample["shipped"][part] for sample in samples] for samples in rounds]
    plain = [[sample["plain"][part] for sample in samples] for samples in rounds]
    ratios = [
        [sample["plain"][part] / sample["shipped"][part] for sample in samples]
        for samples in rounds
    ]
    return [
        Figure.over_rounds(
            f"{part} of a caption",
            "ms",
            shipped,
            _PLAIN[part],
            plain,
            _TARGET_MS if part == "total" else None,
        ),
        Figure.over_rounds(f"{part}, times faster than plain", "", ratios, "plain, ms", plain),
    ]


def _agreement(rounds: list[list[dict[str, Any]]]) -> Figure:
    """How many captions are the same: what is not may take another time for its length alone."""
    agreed = [
        [sum(sample["same_caption"] for sample in samples) / len(samples)] for samples in rounds
    ]
    target = Target(0.95, at_least=True)
    return Figure.over_rounds("part of captions that both agree on", "", agreed, target=target)


def _encoders(rounds: list[list[dict[str, Any]]]) -> list[Figure]:
    shipped = [[sample["shipped"]["encoder"] for sample in samples] for samples in rounds]
    return [
        Figure.over_rounds(
            f"encoder by {name}",
            "ms",
            [[sample["encoders"][name] for sample in samples] for samples in rounds],
            "as shipped",
            shipped,
        )
        for name in rounds[0][0]["encoders"]
    ]


def _rates(rounds: list[list[dict[str, Any]]]) -> list[Figure]:
    return [
        Figure.over_rounds(
            f"captions a second, {waiting} waiting",
            "",
            [[sample["rates"][waiting] for sample in samples] for samples in rounds],
        )
        for waiting in rounds[0][0]["rates"]
    ]


async def _origin(plan: Plan, rounds: list[list[dict[str, Any]]]) -> list[Figure]:
    """The time of the origin's captions against the median of the shipped model's."""
    if not plan.origin_captions:
        return []
    took = []
    async with Child.started("tests.bench.origin_rounds", str(plan.origin_captions)) as child:
        for number in range(plan.origin_captions):
            print(f"origin: caption {number + 1} of {plan.origin_captions} ...", flush=True)
            took.append((await child.hear())["ms"])
    totals = [sample["shipped"]["total"] for samples in rounds for sample in samples]
    median = statistics.median(totals)
    return [
        Figure.over_rounds("a caption in the origin's way", "ms", [took], "as shipped", [totals]),
        Figure.over_rounds(
            "total, times faster than the origin",
            "",
            [[ms / median for ms in took]],
            target=_TIMES_THE_ORIGIN,
        ),
    ]
