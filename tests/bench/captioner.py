"""Time of a caption in the shipped model, and in the plain way."""

from typing import Any

from tests.bench.child import Child
from tests.bench.figures import Figure, Target
from tests.bench.plan import Plan

_PARTS = ("encoder", "decoder", "total")
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
        Figure.over_rounds(f"{part} of a caption", "ms", shipped, _PLAIN[part], plain),
        Figure.over_rounds(f"{part}, times faster than plain", "", ratios, "plain, ms", plain),
    ]


def _agreement(rounds: list[list[dict[str, Any]]]) -> Figure:
    """How many captions are the same: what is not may take another time for its length alone."""
    agreed = [
        [sum(sample["same_caption"] for sample in samples) / len(samples)] for samples in rounds
    ]
    target = Target(0.95, at_least=True)
    return Figure.over_rounds("part of captions that both agree on", "", agreed, target=target)
