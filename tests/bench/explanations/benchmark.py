"""Time of the maps that come with a caption, against what they cannot do without."""

from collections.abc import Callable
from typing import Any

from tests.bench.child import Child
from tests.bench.figures import Figure, Target
from tests.bench.plan import Plan

_TIMES_THE_FLOOR = Target(1.3)
_SHARE_OF_A_FORWARD = Target(0.3)
_TIMES_WORD_BY_WORD = Target(8, at_least=True)

_Sample = dict[str, float]


async def measure(plan: Plan) -> dict[str, Any]:
    """Run the benchmark; return its `figures`, and `rounds` as JSON values.

    Raises:
        ChildError: If the process that measures fails.
    """
    arguments = (str(plan.captioner), str(plan.rounds), str(plan.seconds))
    measured = []
    async with Child.started("tests.bench.explanation_rounds", *arguments) as child:
        for number in range(plan.rounds):
            print(f"explanations: round {number + 1} of {plan.rounds} ...", flush=True)
            measured.append(await child.hear())
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
            "Grad-CAM of all words, beyond the caption",
            "ms",
            one("maps"),
            "encoder, LiteRT",
            one("forward"),
        ),
        Figure.over_rounds(
            "part of an encoder forward, LiteRT",
            "",
            each(lambda sample: sample["maps"] / sample["forward"]),
            target=_SHARE_OF_A_FORWARD,
        ),
        Figure.over_rounds(
            "part of an encoder forward, TensorFlow",
            "",
            each(lambda sample: sample["maps"] / sample["tensorflow_forward"]),
            "encoder, TensorFlow, ms",
            one("tensorflow_forward"),
            _SHARE_OF_A_FORWARD,
        ),
        Figure.over_rounds(
            "live set: caption, Grad-CAM of all words, saliency",
            "ms",
            each(_live_set),
            "caption, encoder there and back",
            each(_floor),
        ),
        Figure.over_rounds(
            "live set, times its floor",
            "",
            each(lambda sample: _live_set(sample) / _floor(sample)),
            target=_TIMES_THE_FLOOR,
        ),
        Figure.over_rounds(
            "Grad-CAM of all words of a given caption",
            "ms",
            one("maps_of_a_given_caption"),
            "tf-keras-vis, word by word",
            one("tf_keras_vis"),
        ),
        Figure.over_rounds(
            "that, times faster than tf-keras-vis",
            "",
            each(lambda sample: sample["tf_keras_vis"] / sample["maps_of_a_given_caption"]),
            target=_TIMES_WORD_BY_WORD,
        ),
        Figure.over_rounds("words of a caption", "", one("words")),
    ]


def _live_set(sample: _Sample) -> float:
    return sample["caption_with_maps"] + sample["saliency"]


def _floor(sample: _Sample) -> float:
    return sample["caption"] + sample["tensorflow_forward_and_backward"]
