"""Faithfulness metrics: deletion and insertion curves, and word disappearance.

Deletion and insertion: how p(word) changes as the cells that a map ranks highest are removed or
shown (Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC
2018), for a word given the preceding words, at the cells of the encoder's grid. Deletion fills
cells with the image's mean colour; insertion starts from a heavily blurred image, which is easier
on the encoder than a blank one. A faithful map has a small area under the deletion curve and a
large one under the insertion curve.

The cells are those of the encoder's grid, in the order in which they are removed.

Word disappearance: whether the word is still in the caption when the top cells are blanked.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.explanations import Map
from inference.explanations.masking import BLANKED_SHARE, cells_to_pixels
from models.language import content_words

CellOrder = NDArray[np.intp]
"""Each cell once, in the order in which they are removed."""

_BLUR = 1 / 12
"""Standard deviation of the blur, as a share of the image's side: larger than a cell."""


@dataclass(frozen=True, slots=True)
class CellGrid:
    """The cells of square images."""

    rows: int
    columns: int
    side: int
    """Of the image, in pixels."""

    def __len__(self) -> int:
        return self.rows * self.columns

    def to_pixels(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Convert a mask of cells [rows * columns] to a mask of pixels [side, side, 1]."""
        mask = cells_to_pixels(chosen.reshape(self.rows, self.columns), self.side)
        return np.asarray(mask[..., None], bool)

    def resample(self, explanation: Map) -> NDArray[np.float64]:
        """Resample a map of any shape to the mean over each cell, [rows * columns]."""
        values = explanation.values.astype(np.float64)
        coarser = values.shape[0] < self.rows or values.shape[1] < self.columns
        method = cv2.INTER_NEAREST if coarser else cv2.INTER_AREA
        resized = cv2.resize(values, (self.columns, self.rows), interpolation=method)
        return np.asarray(resized, np.float64).reshape(-1)


def blank(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image of the same shape [side, side, 3] filled with the image's mean colour."""
    mean = np.rint(image.mean(axis=(0, 1))).astype(np.uint8)
    return np.broadcast_to(mean, image.shape)


def blur(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blur an image [side, side, 3] so heavily that only its colours remain."""
    sigma = image.shape[0] * _BLUR
    return np.asarray(
        cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.uint8
    )


def order_by_importance(values: NDArray[np.floating], random: np.random.Generator) -> CellOrder:
    """Order cells by importance, highest first; ties, such as Grad-CAM's zeros, at random.

    Args:
        values: [cells].
        random: Breaks the ties.
    """
    return np.lexsort((random.permutation(len(values)), -values))


def random_order(cells: CellGrid, random: np.random.Generator) -> CellOrder:
    """Order cells at random."""
    return random.permutation(len(cells))


def centre_order(cells: CellGrid, random: np.random.Generator) -> CellOrder:
    """Order cells by a Gaussian around the image's centre, where photographers put the subject."""
    rows, columns = (
        (np.arange(count) + 0.5) / count - 0.5 for count in (cells.rows, cells.columns)
    )
    distances = np.round(rows[:, None] ** 2 + columns[None, :] ** 2, 12)
    return order_by_importance(np.exp(-distances.reshape(-1) / 2), random)


STEPS = 9

_SCORED, _CAPTIONED = 16, 4
"""Images that are scored and captioned together, for each of `CaptionModel.max_batch`."""


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """p(word | image, preceding words) while cells are deleted, or inserted."""

    deletion: NDArray[np.float64]
    """[STEPS + 1, words]: from the original image to the blank one."""
    insertion: NDArray[np.float64]
    """[STEPS + 1, words]: from the blurred image to the original one."""


def curve_shares() -> NDArray[np.float64]:
    """Return the share of the image that is changed at each point of a curve, [STEPS + 1]."""
    return np.linspace(0, 1, STEPS + 1)


def area_under_curve(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area under curves [STEPS + 1, ...] by the trapezoid rule, in 0..1."""
    return np.asarray(np.trapezoid(curve, curve_shares(), axis=0), np.float64)


def measure_curves(
    model: CaptionModel,
    image: NDArray[np.uint8],
    tokens: Sequence[int],
    orders: Sequence[CellOrder],
    cells: CellGrid,
) -> list[Curves]:
    """Measure the curves of every word of a caption for each order of the cells.

    Args:
        model: The captioner.
        image: RGB, uint8 [side, side, 3], of the captioner's image size.
        tokens: The caption's, with its end token unless it was cut.
        orders: Orders of the cells.
        cells: The image's cells.
    """
    counts = np.rint(curve_shares()[1:-1] * len(cells)).astype(int)
    ranks = np.argsort(np.asarray(orders), axis=1)
    chosen = ranks[:, None, :] < counts[:, None]
    ends = word_probabilities(model, [image, blank(image), blur(image)], tokens)
    original, blanked, blurred = ends[:, None]
    deletions = _mixed_probabilities(model, image, blank(image), ~chosen, tokens, cells)
    insertions = _mixed_probabilities(model, image, blur(image), chosen, tokens, cells)
    return [
        Curves(
            deletion=np.concatenate([original, deletion, blanked]),
            insertion=np.concatenate([blurred, insertion, original]),
        )
        for deletion, insertion in zip(deletions, insertions, strict=True)
    ]


def word_probabilities(
    model: CaptionModel, images: Sequence[NDArray[np.uint8]], tokens: Sequence[int]
) -> NDArray[np.float64]:
    """Return the teacher-forced probability of each word of a caption in each image.

    Returns:
        [images, words].
    """
    parts = []
    count = _SCORED * model.max_batch
    for start in range(0, len(images), count):
        grids = model.encode(images[start : start + count])
        rescored = model.rescore(grids, [tokens] * len(grids))
        log_probs = model.wording.word_sums(tokens, rescored.log_probs.astype(np.float64))
        parts.append(np.exp(log_probs))
    return np.concatenate(parts)


def top_cells(order: CellOrder) -> NDArray[np.bool_]:
    """Select the first `BLANKED_SHARE` of the cells, as bool [cells]."""
    chosen = np.zeros(len(order), bool)
    chosen[order[: round(BLANKED_SHARE * len(order))]] = True
    return chosen


def captions_when_blanked(
    model: CaptionModel,
    image: NDArray[np.uint8],
    orders: Sequence[CellOrder],
    cells: CellGrid,
) -> list[str]:
    """Caption an image whose top cells, by each order, are filled with its mean colour.

    Args:
        model: The captioner.
        image: RGB, uint8 [side, side, 3], of the captioner's image size.
        orders: Orders of the cells.
        cells: The image's cells.

    Returns:
        The caption that beam search finds for each order, at any confidence.
    """
    captions = []
    count = _CAPTIONED * model.max_batch
    for start in range(0, len(orders), count):
        batch = orders[start : start + count]
        masks = [cells.to_pixels(top_cells(order)) for order in batch]
        grids = model.encode([np.where(mask, blank(image), image) for mask in masks])
        captions += [model.text(tokens) for tokens in model.search(grids).tokens]
    return captions


def word_disappeared(word: str, caption: str) -> bool:
    """Return whether a caption contains no form of a content word."""
    return content_words(word).isdisjoint(content_words(caption))


def _mixed_probabilities(
    model: CaptionModel,
    image: NDArray[np.uint8],
    replacement: NDArray[np.uint8],
    kept: NDArray[np.bool_],
    tokens: Sequence[int],
    cells: CellGrid,
) -> NDArray[np.float64]:
    """Score the words where all cells but `kept` [orders, steps, cells] are replaced.

    Returns:
        [orders, steps, words].
    """
    orders, steps, _ = kept.shape
    mixed = [
        np.where(cells.to_pixels(each), image, replacement)
        for each in kept.reshape(orders * steps, -1)
    ]
    return word_probabilities(model, mixed, tokens).reshape(orders, steps, -1)
