"""Deletion and insertion: how p(word) falls and rises with the cells that a map calls important.

Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models" (BMVC 2018),
for a word given the words before it, at the cells of the encoder's grid. Deletion blanks to the
picture's mean colour; insertion begins with a heavily blurred picture, which is kinder to the
encoder than a blank one. A true map makes a small area under the first curve and a large one under
the second.

Word disappearance: what a caption still says when the most important cells are blanked.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.explanations.masking import BLANKED
from inference.faithfulness.cells import Cells, Order, blank, blurred
from models.language import END
from models.language.content_words import content_words

STEPS = 9
_BATCH = 64
"""Pictures whose words are told together."""

SHARE = BLANKED
"""Of the picture's cells that are blanked: as in the check that people see."""

_CAPTION_BATCH = 16


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """p(word | picture, words before) while cells are blanked, or shown."""

    deletion: NDArray[np.float64]
    """[STEPS + 1, words]: from the whole picture to the blank one."""
    insertion: NDArray[np.float64]
    """[STEPS + 1, words]: from the blurred picture to the whole one."""


def shares() -> NDArray[np.float64]:
    """How much of the picture is changed at each point of a curve: [STEPS + 1], from 0 to 1."""
    return np.linspace(0, 1, STEPS + 1)


def area(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area under curves [STEPS + 1, ...] by the trapezoid rule, in 0..1."""
    return np.asarray(np.trapezoid(curve, shares(), axis=0), np.float64)


def curves(
    model: CaptionModel,
    picture: NDArray[np.uint8],
    tokens: Sequence[int],
    orders: Sequence[Order],
    cells: Cells,
) -> list[Curves]:
    """Measure the curves of every word of a caption for each order of the cells.

    Args:
        model: The captioner.
        picture: RGB, uint8 [side, side, 3], of the captioner's size.
        tokens: The caption's, with its end if it was not cut.
        orders: Those of the cells.
        cells: The picture's.
    """
    counts = np.rint(shares()[1:-1] * len(cells)).astype(int)
    ranks = np.argsort(np.asarray(orders), axis=1)
    chosen = ranks[:, None, :] < counts[:, None]
    ends = probabilities(model, [picture, blank(picture), blurred(picture)], tokens)
    whole, blanked, blurry = ends[:, None]
    told = {
        "deletion": _told(model, picture, blank(picture), ~chosen, tokens, cells),
        "insertion": _told(model, picture, blurred(picture), chosen, tokens, cells),
    }
    return [
        Curves(
            deletion=np.concatenate([whole, deletion, blanked]),
            insertion=np.concatenate([blurry, insertion, whole]),
        )
        for deletion, insertion in zip(told["deletion"], told["insertion"], strict=True)
    ]


def probabilities(
    model: CaptionModel, pictures: Sequence[NDArray[np.uint8]], tokens: Sequence[int]
) -> NDArray[np.float64]:
    """Tell how likely each word of a caption is in each picture: [pictures, words]."""
    words = sum(token != END for token in tokens)
    parts = []
    for start in range(0, len(pictures), _BATCH):
        grids = model.encode(pictures[start : start + _BATCH])
        told = model.retell(grids, [tokens] * len(grids))
        parts.append(np.exp(told.log_probs[:, :words].astype(np.float64)))
    return np.concatenate(parts)


def _told(
    model: CaptionModel,
    picture: NDArray[np.uint8],
    other: NDArray[np.uint8],
    kept: NDArray[np.bool_],
    tokens: Sequence[int],
    cells: Cells,
) -> NDArray[np.float64]:
    """Tell the words where only the cells `kept` [orders, steps, cells] are the picture's."""
    orders, steps, _ = kept.shape
    mixed = [
        np.where(cells.pixels(each), picture, other) for each in kept.reshape(orders * steps, -1)
    ]
    return probabilities(model, mixed, tokens).reshape(orders, steps, -1)


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
    for start in range(0, len(orders), _CAPTION_BATCH):
        regions = [cells.pixels(top(order)) for order in orders[start : start + _CAPTION_BATCH]]
        grids = model.encode([np.where(region, blank(picture), picture) for region in regions])
        said += [model.text(tokens) for tokens in model.search(grids).tokens]
    return said


def is_gone(word: str, caption: str) -> bool:
    """Whether a caption no longer says a content word in any of its forms."""
    return content_words(word).isdisjoint(content_words(caption))
