"""Which frames of a video show the same scene, and so are one sample and not several."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from inference.steadiness import CUT, Features


def scenes(frames: Sequence[Features]) -> NDArray[np.int32]:
    """Group frames into scenes.

    Frames that are nearer than a cut to each other are of one scene, and so are those that others
    join: a view that slowly changes is one scene, and so is one that is cut away from and back to.

    Args:
        frames: `inference.steadiness.features` of each, one at least.

    Returns:
        int32 [N]: the scene of each frame, from 0, none left out.
    """
    vectors = np.array(frames, np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / np.where(norms > 0, norms, 1)
    _, labels = connected_components(1 - units @ units.T < CUT, directed=False)
    return np.asarray(labels, np.int32)
