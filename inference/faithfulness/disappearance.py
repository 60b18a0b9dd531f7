"""Word disappearance: what a caption still says when the most important cells are blanked."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference.captioning import CaptionModel
from inference.explanations.blanking import BLANKED
from inference.faithfulness.cells import Cells, blank
from inference.faithfulness.orders import Order
from models.content_words import content_words

SHARE = BLANKED
"""Of the picture's cells that are blanked: as in the check that people see."""

_BATCH = 16


def top(order: Order) -> NDArray[np.bool_]:
    """Choose the first `SHARE` of the cells, as bool [cells]."""
    chosen = np.zeros(len(order), bool)
    chosen[order[: round(SHARE * len(order))]] = True
    return chosen


def captions_without(
    model: CaptionModel, picture: NDArray[np.uint8], orders: Sequence[Order], cells: Cells
) -> list[str]:
    """Caption a picture anew where the first cells of each order have its mean colour.

    Args:
        model: The captioner.
        picture: RGB, uint8 [side, side, 3], of the captioner's size.
        orders: Those of the cells.
        cells: The picture's.

    Returns:
        What the search finds for each order, sure or not.
    """
    said = []
    for start in range(0, len(orders), _BATCH):
        regions = [cells.pixels(top(order)) for order in orders[start : start + _BATCH]]
        grids = model.encode([np.where(region, blank(picture), picture) for region in regions])
        said += [model.text(tokens) for tokens in model.search(grids).tokens]
    return said


def is_gone(word: str, caption: str) -> bool:
    """Whether a caption no longer says a content word in any of its forms."""
    return content_words(word).isdisjoint(content_words(caption))
