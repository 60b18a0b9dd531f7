"""Time per caption of the shipped captioner, plain Keras and the project's original method."""

import statistics
from typing import Any

from tests.bench.figures import Figure, Target
from tests.bench.plan import Plan
from tests.support.child_process import Child

_PARTS = ("encoder", "decoder", "total")
_MAX_TOTAL_MS = Target(25)
_MIN_AGREEMENT = Target(0.95, at_least=True)
_MIN_SPEEDUP_OVER_ORIGINAL = Target(600, at_least=True)
_BASELINES = {
    "encoder": "Keras predict",
    "decoder": "eager beam search",
    "total": "both",
}

_Sample = dict[str, Any]


async def measure(plan: Plan) -> dict[str, Any]:
    """Run the benchmark; return its `figures`, and `rounds` as JSON values.

    Raises:
        ChildError: If a measuring process fails.
    """
    arguments = (str(plan.captioner), str(plan.rounds), str(plan.seconds))
    measured = []
    async with Child.start("tests.bench.captioner.timing_process", *arguments) as child:
        for number in range(plan.rounds):
            print(f"captioner: round {number + 1} of {plan.rounds} ...", flush=True)
            measured.append(await child.receive())
    samples = [measured_round["samples"] for measured_round in measured]
    return {
        "settings": {"beam_width": 3, "batch": 1},
        "figures": [
            *(figure for part in _PARTS for figure in _part_figures(part, samples)),
            _agreement(samples),
            *_encoder_figures(samples),
            *_throughput_figures(samples),
            *(await _original_figures(plan, samples)),
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


def _part_figures(part: str, rounds: list[list[_Sample]]) -> list[Figure]:
    shipped = [[sample["shipped"][part] for sample in samples] for samples in rounds]
    plain = [[sample["keras"][part] for sample in samples] for samples in rounds]
    ratios = [
        [sample["keras"][part] / sample["shipped"][part] for sample in samples]
        for samples in rounds
    ]
    return [
        Figure.over_rounds(
            f"{part} per caption",
            "ms",
            shipped,
            _BASELINES[part],
            plain,
            _MAX_TOTAL_MS if part == "total" else None,
        ),
        Figure.over_rounds(f"{part}, speed-up over Keras", "", ratios, "Keras, ms", plain),
    ]


def _agreement(rounds: list[list[_Sample]]) -> Figure:
    """Share of equal captions: one of another length takes another time for that reason alone."""
    shares = [
        [sum(sample["same_caption"] for sample in samples) / len(samples)] for samples in rounds
    ]
    return Figure.over_rounds("share of equal captions", "", shares, target=_MIN_AGREEMENT)


def _encoder_figures(rounds: list[list[_Sample]]) -> list[Figure]:
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


def _throughput_figures(rounds: list[list[_Sample]]) -> list[Figure]:
    return [
        Figure.over_rounds(
            f"throughput in batches of {size}",
            "captions/s",
            [[sample["throughput"][size] for sample in samples] for samples in rounds],
        )
        for size in rounds[0][0]["throughput"]
    ]


async def _original_figures(plan: Plan, rounds: list[list[_Sample]]) -> list[Figure]:
    """Compare the original method with the median of the shipped captioner."""
    if not plan.original_captions:
        return []
    times_ms = []
    async with Child.start(
        "tests.bench.captioner.original_captioner", str(plan.original_captions)
    ) as child:
        for number in range(plan.original_captions):
            print(f"original: caption {number + 1} of {plan.original_captions} ...", flush=True)
            times_ms.append((await child.receive())["ms"])
    totals = [sample["shipped"]["total"] for samples in rounds for sample in samples]
    median = statistics.median(totals)
    return [
        Figure.over_rounds(
            "total by the original method", "ms", [times_ms], "as shipped", [totals]
        ),
        Figure.over_rounds(
            "total, speed-up over the original",
            "",
            [[ms / median for ms in times_ms]],
            target=_MIN_SPEEDUP_OVER_ORIGINAL,
        ),
    ]
