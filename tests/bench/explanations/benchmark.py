"""Time of word maps and saliency, compared with the passes through the encoder that they need."""

from collections.abc import Callable
from typing import Any

from tests.bench.figures import Figure, Target
from tests.bench.plan import Plan
from tests.support.child_process import Child

_MAX_TIMES_FLOOR = Target(1.3)
_MAX_SHARE_OF_FORWARD = Target(0.3)
_MIN_SPEEDUP = Target(8, at_least=True)

_Sample = dict[str, float]


async def measure(plan: Plan) -> dict[str, Any]:
    """Run the benchmark; return its `figures`, and `rounds` as JSON values.

    Raises:
        ChildError: If the measuring process fails.
    """
    arguments = (str(plan.captioner), str(plan.rounds), str(plan.seconds))
    measured = []
    async with Child.start("tests.bench.explanations.timing_process", *arguments) as child:
        for number in range(plan.rounds):
            print(f"explanations: round {number + 1} of {plan.rounds} ...", flush=True)
            measured.append(await child.receive())
    return {
        "settings": {"batch": 1},
        "figures": _figures([measured_round["samples"] for measured_round in measured]),
        "rounds": [
            {
                "captions": len(measured_round["samples"]),
                "load_average": measured_round["load_average"],
                "cpu_s": round(measured_round["cpu_s"], 2),
            }
            for measured_round in measured
        ],
    }


def _figures(rounds: list[list[_Sample]]) -> list[Figure]:
    def each(value: Callable[[_Sample], float]) -> list[list[float]]:
        return [[value(sample) for sample in samples] for samples in rounds]

    def one(name: str) -> list[list[float]]:
        return each(lambda sample: sample[name])

    return [
        Figure.over_rounds(
            "word maps, added to a caption",
            "ms",
            one("maps"),
            "encoder, LiteRT",
            one("forward"),
        ),
        Figure.over_rounds(
            "share of an encoder forward in LiteRT",
            "",
            each(lambda sample: sample["maps"] / sample["forward"]),
            target=_MAX_SHARE_OF_FORWARD,
        ),
        Figure.over_rounds(
            "share of an encoder forward in TensorFlow",
            "",
            each(lambda sample: sample["maps"] / sample["tensorflow_forward"]),
            "encoder, TensorFlow, ms",
            one("tensorflow_forward"),
            _MAX_SHARE_OF_FORWARD,
        ),
        Figure.over_rounds(
            "live set: caption, word maps, saliency",
            "ms",
            each(_live_set),
            "caption, encoder and back",
            each(_floor),
        ),
        Figure.over_rounds(
            "live set as a multiple of its floor",
            "",
            each(lambda sample: _live_set(sample) / _floor(sample)),
            target=_MAX_TIMES_FLOOR,
        ),
        Figure.over_rounds(
            "word maps of a given caption",
            "ms",
            one("maps_of_given_caption"),
            "tf-keras-vis, word by word",
            one("tf_keras_vis"),
        ),
        Figure.over_rounds(
            "speed-up over tf-keras-vis",
            "",
            each(lambda sample: sample["tf_keras_vis"] / sample["maps_of_given_caption"]),
            target=_MIN_SPEEDUP,
        ),
        Figure.over_rounds("words per caption", "", one("words")),
    ]


def _live_set(sample: _Sample) -> float:
    return sample["caption_with_maps"] + sample["saliency"]


def _floor(sample: _Sample) -> float:
    return sample["caption"] + sample["tensorflow_forward_and_backward"]
