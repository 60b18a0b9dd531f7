"""The captioner of `tests.support.captioners.subwords` in plain NumPy, in double precision."""

import numpy as np
from numpy.typing import NDArray

from tests.support.captioners.subwords import COLUMNS, ROWS, SIDE, START, SubwordCaptionModel

Array = NDArray[np.float64]


def encode(model: SubwordCaptionModel, pixels: NDArray[np.generic]) -> Array:
    """Encode one image [S, S, 3]: [1 + cells, C]."""
    x = pixels.astype(np.float64) / 127.5 - 1
    down, right = SIDE // ROWS, SIDE // COLUMNS
    cells = []
    for row in range(ROWS):
        for column in range(COLUMNS):
            patch = x[row * down : (row + 1) * down, column * right : (column + 1) * right]
            cells.append(patch.reshape(-1) @ model.kernel.astype(np.float64))
    summary = np.tanh(np.mean(cells, axis=0) @ model.summary)
    return np.stack([summary, *cells])


def next_logits(
    model: SubwordCaptionModel, encoding: NDArray[np.floating], tokens: tuple[int, ...]
) -> Array:
    """Return the logits at each place of a caption, [T, tokens]."""
    x, found = encoding.astype(np.float64), []
    for before in (START, *tokens[:-1]):
        scores = x @ (model.embedding[before] @ model.query).astype(np.float64)
        weights = np.exp(scores - scores.max())
        read = np.tanh(weights @ x / weights.sum())
        found.append(read @ model.output + model.transition[before])
    return np.array(found)


def log_probs(
    model: SubwordCaptionModel, encoding: NDArray[np.floating], tokens: tuple[int, ...]
) -> Array:
    """Return the log-probability of each token of a caption, [T]."""
    logits = next_logits(model, encoding, tokens)
    largest = logits.max(axis=1, keepdims=True)
    all_log_probs = logits - largest - np.log(np.exp(logits - largest).sum(axis=1, keepdims=True))
    return np.asarray(all_log_probs[np.arange(len(tokens)), tokens])
