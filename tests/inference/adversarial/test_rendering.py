import numpy as np
from numpy.typing import NDArray

from inference.adversarial.rendering import outline


def test_segments_are_outlined(labels: NDArray[np.int32]) -> None:
    side = len(labels)
    grey = np.full((side, side, 3), 100, np.uint8)

    outlined = outline(grey, labels)

    steps = np.flatnonzero(np.diff(labels[0]))
    assert (outlined[:, steps] == 0).all() and (outlined[:, steps + 1] == 255).all()
    assert (outlined != 100).any(axis=(0, 2)).sum() == 2 * len(steps)
