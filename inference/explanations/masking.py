"""Images with regions blanked, and the check of a map that blanks what it highlights."""

from collections.abc import Generator, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.check import Check, compare_places
from inference.explanations.map import Map
from inference.explanations.placements import Cells, placements
from inference.explanations.score import Score, target_score
from inference.explanations.target import Target

BLANKED_SHARE = 0.2
"""Share of the image that a check blanks."""

PLACES = 80
"""Most places that a check blanks, for each image that the captioner encodes at once; the shipped
captioner's grid has fewer."""

_SEED = 0


def cells_to_pixels(cells: NDArray[np.float32 | np.bool_], side: int) -> NDArray[np.float32]:
    """Upsample cells [rows, columns] to the pixels of a square, [side, side], without smoothing."""
    rows, columns = ((np.arange(side) * count) // side for count in cells.shape)
    return np.asarray(cells[rows[:, None], columns], np.float32)


def encode_masked(
    subject: CaptionedImage, visible: Sequence[NDArray[np.floating]]
) -> Iterator[NDArray[np.float32]]:
    """Encode copies of the image with regions painted in its mean colour.

    Args:
        subject: The captioned image.
        visible: A mask [S, S] for each copy: 1 where the image is visible, 0 where it is painted.

    Yields:
        Encodings [B, ...], with B at most `CaptionModel.max_batch`, so that captions can run in
        between.
    """
    colour, pixels = subject.mean_colour, subject.pixels
    batch = subject.model.max_batch
    for start in range(0, len(visible), batch):
        masks = np.stack(visible[start : start + batch])[..., None]
        yield subject.model.encode_pixels((colour + (pixels - colour) * masks).astype(np.float32))


def check_map(subject: CaptionedImage, map: Map, index: int) -> Generator[float, None, Check]:
    """Check a word's map: blank its top cells, and the same region elsewhere, and compare.

    Blanked cells are painted in the image's mean colour. See `inference.explanations.check` for the
    test. The result for an image and a map is always the same.

    Args:
        subject: The captioned image.
        map: Any map of the word.
        index: Index of the word in the caption, from 0.

    Yields:
        The share that is done, in 0..1, as methods do.

    Returns:
        The verdict, and the probabilities of the word, given the previous words, as captions state
        them.

    Raises:
        ValueError: If there is no such word.
    """
    return _check(subject, map, target_score(subject, Target("word", index)))


def _check(subject: CaptionedImage, map: Map, score: Score) -> Generator[float, None, Check]:
    places, probs = yield from blank_places(subject, map, score)
    (whole,) = score.probabilities(subject.grid[None]).tolist()
    return compare_places(places, probs, whole)


def blank_places(
    subject: CaptionedImage, map: Map, score: Score
) -> Generator[float, None, tuple[list[Cells], NDArray[np.float64]]]:
    """Blank the top of a word's map, and the same region in its other places.

    Yields:
        The share that is done, in 0..1.

    Returns:
        The places, the map's own first, and the target's probability with each blanked, [places].
    """
    top = top_cells(map, subject.model.grid_size)
    places = placements(top, PLACES * subject.model.max_batch)
    visible = [1 - cells_to_pixels(cells, len(subject.pixels)) for cells in places]
    found: list[float] = []
    for grids in encode_masked(subject, visible):
        found += score.probabilities(grids).tolist()
        yield len(found) / len(places)
    return places, np.array(found, np.float64)


def top_cells(map: Map, shape: tuple[int, ...]) -> Cells:
    """Return a mask, bool of `shape`, of the cells of a grid that a map rates highest.

    It contains `BLANKED_SHARE` of the cells. Ties are broken at random, with a fixed seed.
    """
    rows, columns = shape
    finer = map.values.shape[0] > rows
    method = cv2.INTER_AREA if finer else cv2.INTER_LINEAR
    values = np.asarray(cv2.resize(map.values, (columns, rows), interpolation=method))
    count = max(1, round(BLANKED_SHARE * values.size))
    # In random order, so that ties do not favour a corner.
    order = np.random.default_rng(_SEED).permutation(values.size)
    top = np.zeros(values.size, bool)
    top[order[np.argsort(-values.ravel()[order], kind="stable")[:count]]] = True
    return top.reshape(shape)
