"""Pictures with places hidden: painted with the picture's mean colour.

Whether a map is true of a word: blank what it points at, and ask again.
"""

from collections.abc import Generator, Iterator, Sequence
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.explanations.map import Check, Map
from inference.explanations.score import Score, score
from inference.explanations.subject import Subject
from inference.explanations.target import Target

PICTURES_AT_ONCE = 4
"""Between two of its yields a method encodes so many."""

BLANKED = 0.2
"""The share of the picture that is blanked."""

DRAWS = 16
"""Other places that are blanked for comparison."""

_SEED = 0

Cells = NDArray[np.bool_]


def cells_of_pixels(cells: NDArray[np.float32 | np.bool_], side: int) -> NDArray[np.float32]:
    """Spread cells [rows, columns] over the pixels of a square: [side, side]."""
    rows, columns = ((np.arange(side) * count) // side for count in cells.shape)
    return np.asarray(cells[rows[:, None], columns], np.float32)


def grids_with_hidden(
    subject: Subject, visible: Sequence[NDArray[np.floating]]
) -> Iterator[NDArray[np.float32]]:
    """Encode the picture with places hidden, `PICTURES_AT_ONCE` at a time.

    Args:
        subject: Whose picture.
        visible: [S, S] each: 1 where the picture is seen, 0 where it is hidden.

    Yields:
        Grids [B, rows, columns, channels].
    """
    colour, pixels = subject.mean_colour, subject.pixels
    for start in range(0, len(visible), PICTURES_AT_ONCE):
        masks = np.stack(visible[start : start + PICTURES_AT_ONCE])[..., None]
        yield subject.model.encode_pixels((colour + (pixels - colour) * masks).astype(np.float32))


def blank_check(subject: Subject, map: Map, index: int) -> Generator[float, None, Check]:
    """Paint the top cells of a word's map in the picture's mean colour, and as many others.

    The others are the same figure moved (what leaves on one side enters on the other) and mirrored,
    so that they hide as much and as coherently; the draws are the same each time.

    Args:
        subject: The picture and its caption.
        map: Any map of the word.
        index: Place of the word in the caption, from 0.

    Yields:
        How much of it is done, in 0..1, as methods do.

    Returns:
        The probability of the word, given the words before it, as captions state it.

    Raises:
        ValueError: If there is no such word.
    """
    return _work(subject, map, score(subject, Target("word", index)))


def _work(subject: Subject, map: Map, word: Score) -> Generator[float, None, Check]:
    top = top_cells(map, subject.grid.shape[:2])
    hidden = [top, *islice(_others(top), DRAWS)]
    visible = [1 - cells_of_pixels(cells, len(subject.pixels)) for cells in hidden]
    (whole,) = word.probabilities(subject.grid[None]).tolist()
    found: list[float] = []
    for grids in grids_with_hidden(subject, visible):
        found += word.probabilities(grids).tolist()
        yield len(found) / len(hidden)
    blanked, *others = (round(prob, 4) for prob in found)
    random = min(others), round(float(np.median(others)), 4), max(others)
    return Check(round(float(top.mean()), 4), round(whole, 4), blanked, random)


def top_cells(map: Map, shape: tuple[int, ...]) -> Cells:
    """Choose the `BLANKED` share of the cells of a grid that a map points at most: bool, `shape`.

    Cells that it tells nothing apart of are taken in no particular order.
    """
    rows, columns = shape
    finer = map.values.shape[0] > rows
    method = cv2.INTER_AREA if finer else cv2.INTER_LINEAR
    values = np.asarray(cv2.resize(map.values, (columns, rows), interpolation=method))
    count = max(1, round(BLANKED * values.size))
    # Equal values must not favour a corner.
    order = np.random.default_rng(_SEED).permutation(values.size)
    top = np.zeros(values.size, bool)
    top[order[np.argsort(-values.ravel()[order], kind="stable")[:count]]] = True
    return top.reshape(shape)


def _others(top: Cells) -> Iterator[Cells]:
    """Other cells, as many: the figure moved and mirrored in random ways, then any at all."""
    random = np.random.default_rng(_SEED)
    rows, columns = top.shape
    seen = {top.tobytes()}
    for way in random.permutation(4 * rows * columns).tolist():
        mirrored, place = divmod(way, rows * columns)
        figure = top[:: 1 - 2 * (mirrored // 2), :: 1 - 2 * (mirrored % 2)]
        moved = np.roll(figure, divmod(place, columns), axis=(0, 1))
        if moved.tobytes() not in seen:
            seen.add(moved.tobytes())
            yield moved
    while True:
        yield random.permutation(top.ravel()).reshape(top.shape)
