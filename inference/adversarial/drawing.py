"""The pictures of an adversarial analysis."""

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.regions import outline
from inference.explanations.live import live_maps
from inference.explanations.painting import paint
from inference.explanations.subject import Subject
from models.beam_search import BeamCaption

_GREY, _ROOM = 128.0, 120.0
"""What stands for no change, and the grey levels that the largest change is magnified to."""


def pictures(
    subject: Subject, perturbation: NDArray[np.float32], labels: NDArray[np.int32]
) -> tuple[dict[str, NDArray[np.uint8]], float]:
    """Draw all of them; see `AdversarialFindings.pictures`.

    The attacked picture is rounded to whole grey levels to be drawn, and so is no picture that
    fools the captioner if the perturbation is finer than that.

    Args:
        subject: The picture and its caption.
        perturbation: [1, S, S, 3].
        labels: [S, S]: the segment of each pixel.

    Returns:
        RGB pictures, uint8 [S, S, 3], by name; and how much the perturbation is magnified.
    """
    model, clean = subject.model, subject.pixels
    changed = clean + perturbation[0]
    attacked = np.rint(changed).astype(np.uint8)
    magnified = _ROOM / max(float(np.abs(perturbation).max()), 1e-6)
    grid = model.encode_pixels(changed[None])
    found = BeamCaption(*(part[0] for part in model.search(grid)))
    (before,) = live_maps(model.graphs, subject.grid[None], [subject.told])
    (after,) = live_maps(model.graphs, grid, [found])
    drawn = {
        "clean": clean,
        "attacked": attacked,
        "perturbation": np.rint(_GREY + magnified * perturbation[0]).astype(np.uint8),
        "map-before": paint(clean, before.caption),
        "map-after": paint(attacked, after.caption),
        "regions": outline(clean, labels),
    }
    return drawn, magnified
