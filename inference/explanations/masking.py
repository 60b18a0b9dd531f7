"""Images with regions blanked, and the check of a map that blanks what it highlights."""

from collections.abc import Generator, Iterator, Sequence
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.map import Check, Map
from inference.explanations.score import Score, target_score
from inference.explanations.target import Target

BLANKED_SHARE = 0.2
"""Share of the image that a check blanks."""

RANDOM_DRAWS = 16
"""Other regions that a check blanks for comparison."""

_SEED = 0

Cells = NDArray[np.bool_]


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
    """Check a word's map: blank its top cells, and as many other cells, and compare the effect.

    Blanked cells are painted in the image's mean colour. The other cells are the same shape shifted
    (wrapping around at the edges) and mirrored, so that they are as coherent; the draws are the
    same each time.

    Args:
        subject: The captioned image.
        map: Any map of the word.
        index: Index of the word in the caption, from 0.

    Yields:
        The share that is done, in 0..1, as methods do.

    Returns:
        The probabilities of the word, given the previous words, as captions state them.

    Raises:
        ValueError: If there is no such word.
    """
    return _check(subject, map, target_score(subject, Target("word", index)))


def _check(subject: CaptionedImage, map: Map, score: Score) -> Generator[float, None, Check]:
    top = top_cells(map, subject.model.grid_size)
    blanked = [top, *islice(_other_cells(top), RANDOM_DRAWS)]
    visible = [1 - cells_to_pixels(cells, len(subject.pixels)) for cells in blanked]
    (whole,) = score.probabilities(subject.grid[None]).tolist()
    found: list[float] = []
    for grids in encode_masked(subject, visible):
        found += score.probabilities(grids).tolist()
        yield len(found) / len(blanked)
    without_top, *others = (round(prob, 4) for prob in found)
    random = min(others), round(float(np.median(others)), 4), max(others)
    return Check(round(float(top.mean()), 4), round(whole, 4), without_top, random)


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


def _other_cells(top: Cells) -> Iterator[Cells]:
    """Yield masks of as many other cells: the shape shifted and mirrored, then any cells."""
    random = np.random.default_rng(_SEED)
    rows, columns = top.shape
    seen = {top.tobytes()}
    for variant in random.permutation(4 * rows * columns).tolist():
        mirrored, place = divmod(variant, rows * columns)
        shape = top[:: 1 - 2 * (mirrored // 2), :: 1 - 2 * (mirrored % 2)]
        shifted = np.roll(shape, divmod(place, columns), axis=(0, 1))
        if shifted.tobytes() not in seen:
            seen.add(shifted.tobytes())
            yield shifted
    while True:
        yield random.permutation(top.ravel()).reshape(top.shape)
