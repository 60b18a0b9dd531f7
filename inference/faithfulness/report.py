"""Report of a faithfulness run: JSON, Markdown tables, and a plot."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from inference.explanations.masking import BLANKED_SHARE
from inference.faithfulness.measurement import CENTRE, RANDOM, RANDOM_ORDERS, MeasuredImage, Part
from inference.faithfulness.metrics import curve_shares
from inference.faithfulness.randomisation import UNRELATED, Similarity
from inference.faithfulness.stability import Stability
from inference.faithfulness.summary import (
    BASELINES,
    CONFIDENCE,
    RESAMPLES,
    Interval,
    ScoreSummary,
    mean_curves,
    mean_interval,
    summarise,
)
from models.word_kinds import WordKind

KINDS: tuple[WordKind, ...] = get_args(WordKind)
"""In the order of the tables, objects first."""

_TITLES = {
    "deletion": "Deletion: area under p(word), lower is better",
    "insertion": "Insertion: area under p(word), higher is better",
    "disappearance": f"Word disappears when the top {BLANKED_SHARE:.0%} of the image is blanked, "
    "higher is better",
}

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Safe for colour-blind readers: Okabe and Ito, "Color Universal Design" (2008)."""

_BASELINE_STYLES = {RANDOM: ("#555555", "--"), CENTRE: ("#999999", ":")}


@dataclass(frozen=True, slots=True)
class Measurements:
    """All measurements of a run."""

    captioner: str
    """Name in the model card."""
    weights_sha256: str
    split: str
    part: Part
    """Of the split."""
    images: Sequence[MeasuredImage]
    randomised: Sequence[Mapping[str, Similarity]]
    """By method, stage by stage."""
    stability: Mapping[str, Stability]
    """By method."""
    footage: str
    """What stability was measured on."""

    def to_json(self) -> dict[str, Any]:
        """Return the results and the measurements as JSON values.

        `summary`: by kind of word, score (areas under the curves, or the share of words that
        disappear) and method, the mean with its interval, and the differences `against` each
        baseline with theirs. `curves`: p(word) by kind, direction and method at each of `shares`.
        `randomisation`: by stage and method. `stability`: by method. `pictures`: every measured
        word.
        """
        return {
            "captioner": self.captioner,
            "weights_sha256": self.weights_sha256,
            "split": self.split,
            "part": self.part,
            "settings": {
                "confidence": CONFIDENCE,
                "resamples": RESAMPLES,
                "random_orders": RANDOM_ORDERS,
                "blanked_share": BLANKED_SHARE,
                "deletion": "fills with the image's mean colour",
                "insertion": "into the blurred image",
                "footage": self.footage,
            },
            "counts": {"pictures": len(self.images), **self.counts()},
            "summary": {
                kind: {
                    score: {name: asdict(each) for name, each in summaries.items()}
                    for score, summaries in summarise(self.images, kind).items()
                }
                for kind in KINDS
            },
            "shares": curve_shares().round(4).tolist(),
            "curves": {kind: mean_curves(self.images, kind) for kind in KINDS},
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
            "stability": {name: _stability_json(each) for name, each in self.stability.items()},
            "pictures": [asdict(image) for image in self.images],
        }

    def counts(self) -> dict[str, int]:
        """Count the measured words of each kind."""
        return _counts(self.images)

    def markdown_lines(self) -> Iterator[str]:
        """Format the results as Markdown tables."""
        part = "" if self.part == "all" else f"'s half for {self.part}"
        images = f"{len(self.images)} images of the {self.split} split{part}"
        yield f"{images}, captioned by {self.captioner}"
        yield ""
        yield from score_lines(self.images)
        if self.randomised:
            yield ""
            yield "Model randomisation: rank correlation with the maps of the trained weights"
            yield ""
            yield from _randomisation_table(self.randomised)
        yield ""
        yield f"Stability between neighbouring frames with the same caption ({self.footage})"
        yield ""
        yield from _stability_table(self.stability)


def score_lines(images: Sequence[MeasuredImage]) -> Iterator[str]:
    """Format the scores as Markdown tables: an overview of object words, then each score."""
    counts = _counts(images)
    yield f"The {counts['object']} words that name objects"
    yield ""
    yield from _overview_table(summarise(images, "object"))
    for kind in KINDS:
        for score, summaries in summarise(images, kind).items():
            yield ""
            yield f"{_TITLES[score]} ({counts[kind]} {kind} words)"
            yield ""
            yield from _score_table(score, summaries)


def _counts(images: Sequence[MeasuredImage]) -> dict[str, int]:
    words = [word.kind for image in images for word in image.words]
    return {kind: words.count(kind) for kind in KINDS}


def plot(path: Path, report: Mapping[str, Any]) -> None:
    """Plot the curves of object words and the randomisation test.

    Args:
        path: The image file, replaced; its suffix determines the format.
        report: Returned by `Measurements.to_json`.
    """
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    deletion, insertion, randomised = figure.subplots(1, 3)
    shares = [100 * share for share in report["shares"]]
    curves = report["curves"]["object"]
    _plot_curves(deletion, shares, curves.get("deletion", {}))
    _plot_curves(insertion, shares, curves.get("insertion", {}))
    deletion.set_title("Deletion: lower is better")
    deletion.set_xlabel("% of the image blanked")
    insertion.set_title("Insertion: higher is better")
    insertion.set_xlabel("% of the image shown, the rest blurred")
    insertion.sharey(deletion)
    deletion.set_ylabel("p(object word | preceding words)")
    _plot_randomisation(randomised, report["randomisation"])
    handles, labels = deletion.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=max(1, len(labels)), frameon=False
    )
    figure.savefig(path, dpi=110)


def _overview_table(scores: Mapping[str, Mapping[str, ScoreSummary]]) -> Iterator[str]:
    """Put what matters of all scores in one table, the smallest deletion area first."""
    yield from _header(
        ["maps", "deletion area", "minus centre", "insertion area", "minus centre", "word gone"]
    )
    deletion = scores.get("deletion", {})
    for name in sorted(deletion, key=lambda name: deletion[name].value.mean):
        cells = []
        for score in ("deletion", "insertion"):
            each = scores[score][name]
            cells.append(f"{each.value.mean:.3f}")
            cells.append(_signed(each.against[CENTRE]) if each.against else "")
        gone = scores["disappearance"][name].value.mean
        yield _row([f"`{name}`", *cells, f"{100 * gone:.0f} %"])


def _score_table(score: str, summaries: Mapping[str, ScoreSummary]) -> Iterator[str]:
    yield from _header(["", "score", *(f"minus {name}" for name in BASELINES), "beats both"])
    for name, each in summaries.items():
        differences = [_signed(each.against[other]) for other in BASELINES if each.against]
        beats = ["yes" if each.beats(score) else "no"] if each.against else []
        yield _row([name, _interval(each.value), *differences, *beats])


def _randomisation_table(stages: Sequence[Mapping[str, Similarity]]) -> Iterator[str]:
    if stages:
        yield from _header(["randomised down to", *stages[0]])
    for stage in stages:
        cells = [_mean_cell(each.correlations) for each in stage.values()]
        yield _row([next(iter(stage.values())).stage, *cells])


def _stability_table(stability: Mapping[str, Stability]) -> Iterator[str]:
    yield from _header(["", "rank correlation", "overlap of the top", "pairs", "caption changed"])
    for name, each in stability.items():
        cells = [_mean_cell(values) for values in (each.correlations, each.overlaps)]
        yield _row([name, *cells, str(each.pairs), str(each.changed)])


def _stability_json(each: Stability) -> dict[str, Any]:
    values: dict[str, Any] = {"pairs": each.pairs, "changed": each.changed}
    for name, numbers in (("correlation", each.correlations), ("overlap", each.overlaps)):
        values[name] = asdict(mean_interval(np.array(numbers))) if numbers else None
    return values


def _header(cells: Sequence[str]) -> Iterator[str]:
    yield _row(cells)
    yield "|" + "---|" * len(cells)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _mean_cell(values: Sequence[float]) -> str:
    return _interval(mean_interval(np.array(values))) if values else ""


def _interval(each: Interval) -> str:
    return f"{each.mean:.3f} ({each.low:.3f} to {each.high:.3f})"


def _signed(each: Interval) -> str:
    return f"{each.mean:+.3f} ({each.low:+.3f} to {each.high:+.3f})"


def _plot_curves(
    axes: Axes, shares: Sequence[float], curves: Mapping[str, Sequence[float]]
) -> None:
    for name, curve in curves.items():
        colour, style = _line_style(name, list(curves))
        axes.plot(shares, curve, style, color=colour, label=name, linewidth=1.8)
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=0)
    _hide_box(axes)


def _plot_randomisation(axes: Axes, stages: Sequence[Mapping[str, Any]]) -> None:
    axes.set_title("Randomised from the top down")
    axes.set_ylabel("rank correlation with the trained map")
    shown = [stage for stage in stages if stage["stage"] != UNRELATED]
    for name in shown[0]["correlation"] if shown else ():
        values = [stage["correlation"][name]["mean"] for stage in shown]
        colour, _ = _line_style(name, [RANDOM, CENTRE, *shown[0]["correlation"]])
        axes.plot(range(len(shown)), values, color=colour, linewidth=1.4)
    axes.set_xticks(range(len(shown)), [stage["stage"] for stage in shown], rotation=90, fontsize=7)
    unrelated = [
        each["mean"]
        for stage in stages
        if stage["stage"] == UNRELATED
        for each in stage["correlation"].values()
    ]
    if unrelated:
        # One line for the mean of all methods: a line for each would add nothing.
        axes.axhline(sum(unrelated) / len(unrelated), color="#999999", linestyle=":")
    axes.axhline(0, color="#999999", linewidth=0.8)
    _hide_box(axes)


def _line_style(name: str, names: Sequence[str]) -> tuple[str, str]:
    if name in _BASELINE_STYLES:
        return _BASELINE_STYLES[name]
    methods = [each for each in names if each not in _BASELINE_STYLES]
    index = methods.index(name)
    return _COLOURS[index % len(_COLOURS)], "-" if index < len(_COLOURS) else "-."


def _hide_box(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
