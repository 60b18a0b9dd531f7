"""Images of an adversarial analysis: attacked image, perturbation, heat maps and segments."""

import numpy as np
from numpy.typing import NDArray

from inference.explanations import paint
from inference.explanations.captioned_image import CaptionedImage
from models.captioner import BeamCaption

_GREY, _MAGNIFIED_TO = 128.0, 120.0
"""Grey level that stands for no change, and how far from it the largest change is drawn."""


def render(
    subject: CaptionedImage, perturbation: NDArray[np.float32], labels: NDArray[np.int32]
) -> tuple[dict[str, NDArray[np.uint8]], float]:
    """Draw all images of an analysis; see `AdversarialFindings.pictures`.

    The attacked image is rounded to whole grey levels, so the drawn image need not fool the
    captioner if the perturbation is finer than that.

    Args:
        subject: The image and its caption.
        perturbation: [1, S, S, 3].
        labels: [S, S]: the segment of each pixel.

    Returns:
        RGB images, uint8 [S, S, 3], by name; and the factor that the perturbation is magnified by.
    """
    model, clean = subject.model, subject.pixels
    changed = clean + perturbation[0]
    attacked = np.rint(changed).astype(np.uint8)
    magnified = _MAGNIFIED_TO / max(float(np.abs(perturbation).max()), 1e-6)
    grid = model.encode_pixels(changed[None])
    found = BeamCaption(*(part[0] for part in model.search(grid)))
    (before,) = model.live_maps(subject.grid[None], [subject.rescored])
    (after,) = model.live_maps(grid, [found])
    images = {
        "clean": clean,
        "attacked": attacked,
        "perturbation": np.rint(_GREY + magnified * perturbation[0]).astype(np.uint8),
        "map-before": paint(clean, before.caption),
        "map-after": paint(attacked, after.caption),
        "regions": outline(clean, labels),
    }
    return images, magnified


def outline(pixels: NDArray[np.uint8], labels: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Draw the borders of segments [S, S] into a copy of an image, uint8 [S, S, 3].

    Borders are black on one side and white on the other, to be visible on any colour.
    """
    outlined = pixels.copy()
    for axis in (0, 1):
        image, label = (np.moveaxis(each, axis, 0) for each in (outlined, labels))
        border = label[1:] != label[:-1]
        image[1:][border] = 255
        image[:-1][border] = 0
    return outlined
