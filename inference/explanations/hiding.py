"""Pictures with places hidden: painted with the picture's mean colour."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from inference.explanations.subject import Subject

PICTURES_AT_ONCE = 4
"""Between two of its yields a method encodes so many."""


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
