"""How a word's logit answers to a direction in the grid, over pictures and scenes.

Kim et al., ICML 2018. Shapes below: N pictures, S scenes, C channels.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference.captioning import CaptionModel
from inference.explanations.target import Target
from inference.explanations.terms import terms
from models.vocabulary import END

Array = NDArray[np.float32]


def slope(model: CaptionModel, grid: Array, tokens: Sequence[int], index: int) -> Array:
    """Differentiate the logit of a word of a caption, teacher-forced, to the grid.

    Args:
        model: The captioner.
        grid: Of the picture, [rows, columns, C].
        tokens: Of the caption, with or without its end.
        index: The place of the word.

    Returns:
        The mean over the cells, [C]: along it lies how the logit answers when all of them change
        alike.
    """
    words = [token for token in tokens if token != END]
    asked = terms(Target("word", index), words, model.captioner.vocabulary)
    before = np.array(words[: index + 1], np.int32)
    gradient = model.graphs.caption_gradient(grid, before, asked)
    return np.asarray(gradient.mean(axis=(0, 1)), np.float32)


def of_scenes(slopes: Array, scenes: NDArray[np.int32]) -> Array:
    """Take the mean of the slopes [N, C] of each scene: [S, C]. `scenes` [N] names each's."""
    _, numbers = np.unique(scenes, return_inverse=True)
    sums = np.zeros((numbers.max() + 1, slopes.shape[1]), np.float32)
    np.add.at(sums, numbers, slopes)
    return np.asarray(sums / np.bincount(numbers)[:, None], np.float32)
