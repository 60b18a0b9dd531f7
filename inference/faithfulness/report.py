"""What was measured, as a table for people and as JSON.

The picture of what was measured.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from inference.faithfulness.curves import SHARE, shares
from inference.faithfulness.measurement import CENTRE, RANDOM, RANDOM_ORDERS, MeasuredPicture
from inference.faithfulness.randomisation import UNRELATED, Similarity
from inference.faithfulness.stability import Stability
from inference.faithfulness.summary import (
    BASELINES,
    RESAMPLES,
    Figures,
    Interval,
    mean_curves,
    mean_interval,
    summarise,
)
from inference.word_kinds import WordKind

KINDS: tuple[WordKind, ...] = get_args(WordKind)
"""In the order of the table, objects first."""

_TITLES = {
    "deletion": "Deletion, area under p(word), lower is better",
    "insertion": "Insertion, area under p(word), higher is better",
    "disappearance": f"Word gone when the top {SHARE:.0%} are blanked, higher is better",
}

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Told apart by the colour-blind too: Okabe and Ito, "Color Universal Design" (2008)."""

_BASELINES = {RANDOM: ("#555555", "--"), CENTRE: ("#999999", ":")}


@dataclass(frozen=True, slots=True)
class Measurements:
    """All that a run has measured."""

    captioner: str
    """The model card's name of it."""
    weights_sha256: str
    split: str
    pictures: Sequence[MeasuredPicture]
    randomised: Sequence[Mapping[str, Similarity]]
    """By method, stage by stage."""
    stable: Mapping[str, Stability]
    """By method."""
    footage: str
    """What stability was measured on."""

    def to_json(self) -> dict[str, Any]:
        """Return the figures and what they were made of as JSON values.

        `summary`: by kind of word, score (areas under the curves, or the share of words that
        disappear) and method, the mean with its interval, and the same of the differences
        `against` each baseline. `curves`: p(word) by kind, direction and method at each of
        `shares`. `randomisation`: by stage and method. `stability`: by method. `pictures`: every
        measured word.
        """
        return {
            "captioner": self.captioner,
            "weights_sha256": self.weights_sha256,
            "split": self.split,
            "settings": {
                "confidence": 0.95,
                "resamples": RESAMPLES,
                "random_orders": RANDOM_ORDERS,
                "blanked_share": SHARE,
                "deletion": "to the picture's mean colour",
                "insertion": "into the blurred picture",
                "footage": self.footage,
            },
            "counts": {"pictures": len(self.pictures), **self.counts()},
            "summary": {
                kind: {
                    score: {name: asdict(each) for name, each in figures.items()}
                    for score, figures in summarise(self.pictures, kind).items()
                }
                for kind in KINDS
            },
            "shares": shares().round(4).tolist(),
            "curves": {kind: mean_curves(self.pictures, kind) for kind in KINDS},
            "randomisation": [
                {
                    "stage": next(iter(stage.values())).stage,
                    "correlation": {
                        name: asdict(mean_interval(np.array(each.correlations)))
                        for name, each in stage.items()
                        if each.correlations
                    },
                }
                for stage in self.randomised
            ],
            "stability": {name: _stability(each) for name, each in self.stable.items()},
            "pictures": [asdict(picture) for picture in self.pictures],
        }

    def counts(self) -> dict[str, int]:
        """How many words of each kind were measured."""
        words = [word.kind for picture in self.pictures for word in picture.words]
        return {kind: words.count(kind) for kind in KINDS}

    def lines(self) -> Iterator[str]:
        """Tell the figures in lines, as tables of Markdown."""
        counts = self.counts()
        yield f"{len(self.pictures)} pictures of {self.split}, captioned by {self.captioner}"
        for kind in KINDS:
            summary = summarise(self.pictures, kind)
            for score, figures in summary.items():
                yield ""
                yield f"{_TITLES[score]}: {counts[kind]} {kind} words"
                yield ""
                yield from _table(score, figures)
        yield ""
        yield "Model randomisation: rank correlation with the maps of the trained weights"
        yield ""
        yield from _randomisation_table(self.randomised)
        yield ""
        yield f"Stability between neighbouring frames of the same caption ({self.footage})"
        yield ""
        yield from _stability_table(self.stable)


def _table(score: str, figures: Mapping[str, Figures]) -> Iterator[str]:
    yield from _header(["", "", *(f"less {name}" for name in BASELINES), "beats them"])
    for name, each in figures.items():
        differences = [_signed(each.against[other]) for other in BASELINES if each.against]
        beats = ["yes" if each.beats(score) else "no"] if each.against else []
        yield _row([name, _interval(each.value), *differences, *beats])


def _randomisation_table(stages: Sequence[Mapping[str, Similarity]]) -> Iterator[str]:
    if stages:
        yield from _header(["randomised down to", *stages[0]])
    for stage in stages:
        told = [
            _interval(mean_interval(np.array(each.correlations))) if each.correlations else ""
            for each in stage.values()
        ]
        yield _row([next(iter(stage.values())).stage, *told])


def _stability_table(stable: Mapping[str, Stability]) -> Iterator[str]:
    yield from _header(["", "rank correlation", "overlap of the top", "pairs", "left out"])
    for name, each in stable.items():
        told = [
            _interval(mean_interval(np.array(values))) if values else ""
            for values in (each.correlations, each.overlaps)
        ]
        yield _row([name, *told, str(each.pairs), str(each.changed)])


def _stability(each: Stability) -> dict[str, Any]:
    told: dict[str, Any] = {"pairs": each.pairs, "changed": each.changed}
    for name, values in (("correlation", each.correlations), ("overlap", each.overlaps)):
        told[name] = asdict(mean_interval(np.array(values))) if values else None
    return told


def _header(cells: Sequence[str]) -> Iterator[str]:
    yield _row(cells)
    yield "|" + "---|" * len(cells)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _interval(each: Interval) -> str:
    return f"{each.mean:.3f} ({each.low:.3f} to {each.high:.3f})"


def _signed(each: Interval) -> str:
    return f"{each.mean:+.3f} ({each.low:+.3f} to {each.high:+.3f})"


def draw(path: Path, report: Mapping[str, Any]) -> None:
    """Draw the curves of object words and the randomisation check into a picture file.

    Args:
        path: The file, replaced; its ending tells the format.
        report: What `Measurements.to_json` returned.
    """
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    deletion, insertion, randomised = figure.subplots(1, 3)
    shares = [100 * share for share in report["shares"]]
    curves = report["curves"]["object"]
    _draw_curves(deletion, "deletion", shares, curves.get("deletion", {}))
    _draw_curves(insertion, "insertion", shares, curves.get("insertion", {}))
    deletion.set_title("Deletion: lower is truer")
    deletion.set_xlabel("% of the picture blanked")
    insertion.set_title("Insertion: higher is truer")
    insertion.set_xlabel("% of the picture shown, the rest blurred")
    insertion.sharey(deletion)
    deletion.set_ylabel("p(object word | words before)")
    _draw_randomisation(randomised, report["randomisation"])
    handles, labels = deletion.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=max(1, len(labels)), frameon=False
    )
    figure.savefig(path, dpi=110)


def _draw_curves(
    axes: Axes, direction: str, shares: Sequence[float], curves: Mapping[str, Sequence[float]]
) -> None:
    for name, curve in curves.items():
        colour, style = _look(name, list(curves))
        axes.plot(shares, curve, style, color=colour, label=name, linewidth=1.8)
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=0)
    _plain(axes)


def _draw_randomisation(axes: Axes, stages: Sequence[Mapping[str, Any]]) -> None:
    axes.set_title("Randomised from the top down")
    axes.set_ylabel("rank correlation with the trained map")
    shown = [stage for stage in stages if stage["stage"] != UNRELATED]
    for name in shown[0]["correlation"] if shown else ():
        values = [stage["correlation"][name]["mean"] for stage in shown]
        colour, _ = _look(name, [RANDOM, CENTRE, *shown[0]["correlation"]])
        axes.plot(range(len(shown)), values, color=colour, linewidth=1.4)
    axes.set_xticks(range(len(shown)), [stage["stage"] for stage in shown], rotation=90, fontsize=7)
    unrelated = [
        each["mean"]
        for stage in stages
        if stage["stage"] == UNRELATED
        for each in stage["correlation"].values()
    ]
    if unrelated:
        # Of all methods together: a line each would say no more.
        axes.axhline(sum(unrelated) / len(unrelated), color="#999999", linestyle=":")
    axes.axhline(0, color="#999999", linewidth=0.8)
    _plain(axes)


def _look(name: str, names: Sequence[str]) -> tuple[str, str]:
    if name in _BASELINES:
        return _BASELINES[name]
    methods = [each for each in names if each not in _BASELINES]
    return _COLOURS[methods.index(name) % len(_COLOURS)], "-"


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
