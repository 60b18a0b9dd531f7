"""The picture of what was measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from inference.faithfulness.measurement import CENTRE, RANDOM
from inference.faithfulness.randomisation import UNRELATED

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Told apart by the colour-blind too: Okabe and Ito, "Color Universal Design" (2008)."""
_BASELINES = {RANDOM: ("#555555", "--"), CENTRE: ("#999999", ":")}


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
