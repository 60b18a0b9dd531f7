"""The picture of a training run."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def draw_curve(path: Path, history: Sequence[dict[str, float]]) -> None:
    """Draw the loss and the dev figures of each epoch into a PNG file.

    Args:
        path: The file, replaced.
        history: One mapping an epoch, with `loss` (nats per word) and `cider`, `bleu_4`.
    """
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    epochs = range(1, len(history) + 1)
    loss_axes = figure.subplots()
    loss_axes.plot(epochs, [epoch["loss"] for epoch in history], "o-", color="#666666")
    loss_axes.set_xlabel("epoch")
    loss_axes.set_ylabel("training loss, nats per word (grey)")
    dev_axes = loss_axes.twinx()
    for name, colour in (("cider", "#0b6e4f"), ("bleu_4", "#c05a00")):
        dev_axes.plot(epochs, [epoch[name] for epoch in history], "o-", color=colour, label=name)
    dev_axes.set_ylabel("dev score")
    dev_axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)
