"""A long search for the smallest change of an image that changes its caption.

Independent of `inference.adversarial`, in plain NumPy and double precision. The encoder of
`SubwordCaptionModel` is linear, so that an image counts only through its cells. For each of many
rival captions the boundary of the caption is linearised, whose nearest point has a closed form (the
dual norm), again and again from many starts, within the range of pixels.
"""

import numpy as np
from numpy.typing import NDArray

from models.attacks import Norm
from tests.support.captioners.subwords import COLUMNS, ROWS, SIDE, START, SubwordCaptionModel

Array = NDArray[np.float64]

_DOWN, _RIGHT = SIDE // ROWS, SIDE // COLUMNS
_PROBES, _RIVALS, _STARTS, _ROUNDS = 60, 6, 3, 25
_GREY = 127.5


def smallest_change(
    model: SubwordCaptionModel, pixels: NDArray[np.uint8], tokens: tuple[int, ...], norm: Norm
) -> float:
    """Return the norm of the smallest change found, in grey levels."""
    random = np.random.default_rng(1)
    kernel = model.kernel.astype(float) / _GREY
    image = _patches(pixels.astype(float))
    clean = (image - _GREY) @ kernel
    words = tokens[:-1]

    def is_changed(change: Array) -> bool:
        found = model.search(_encoding(model, clean + change @ kernel)[None].astype(np.float32))
        return tuple(int(token) for token in found.tokens[0] if token)[:-1] != words

    rivals = {
        (*tokens[:place], token, *tokens[place + 1 :])
        for token in range(3, len(model.embedding))
        for place in range(len(tokens))
    }
    for size in np.geomspace(1e-3, 64, _PROBES):
        cells = clean + size * np.sign(random.normal(size=(ROWS * COLUMNS, len(kernel)))) @ kernel
        row = model.search(_encoding(model, cells)[None].astype(np.float32)).tokens[0]
        rivals.add(tuple(int(token) for token in row if token))

    def distance(rival: tuple[int, ...]) -> float:
        margin, slope = _linearised(model, clean, tokens, rival)
        gradient = slope @ kernel.T
        return abs(margin) / float((gradient * _towards(gradient, norm)).sum())

    nearest = sorted(rivals - {tokens}, key=distance)
    best = np.inf
    for rival in nearest[:_RIVALS]:
        for start in range(_STARTS):
            change = np.zeros((ROWS * COLUMNS, len(kernel)))
            if start:
                size = min(best, 8.0 if norm == "linf" else 400.0)
                change = _towards(random.normal(size=change.shape), norm) * size * random.uniform()
            for _ in range(_ROUNDS):
                margin, slope = _linearised(model, clean + change @ kernel, tokens, rival)
                gradient = slope @ kernel.T
                fixed = ((image == 0) & (gradient > 0)) | ((image == 255) & (gradient < 0))
                gradient[fixed] = 0
                step = -_towards(gradient, norm)
                # margin + gradient * (length * step - change) = 0
                slope_along = -(gradient * step).sum()
                if slope_along <= 0:
                    break
                length = (margin - (gradient * change).sum()) / slope_along
                change = 0.5 * change + 0.5 * length * 1.002 * step
                change = np.clip(change, -image, 255 - image)
                size = _size(change, norm)
                if size < best and is_changed(change):
                    best = _shortened(change, norm, is_changed)
    return best


def _shortened(change: Array, norm: Norm, is_changed: object) -> float:
    """Scale a change down as far as the caption stays changed."""
    assert callable(is_changed)
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if is_changed(middle * change) else (middle, high)
    return high * _size(change, norm)


def _size(change: Array, norm: Norm) -> float:
    return float(np.abs(change).max() if norm == "linf" else np.linalg.norm(change))


def _towards(gradient: Array, norm: Norm) -> Array:
    if norm == "linf":
        return np.sign(gradient)
    return gradient / max(float(np.linalg.norm(gradient)), 1e-30)


def _patches(pixels: Array) -> Array:
    parts = pixels.reshape(ROWS, _DOWN, COLUMNS, _RIGHT, 3).transpose(0, 2, 1, 3, 4)
    return parts.reshape(ROWS * COLUMNS, -1)


def _encoding(model: SubwordCaptionModel, cells: Array) -> Array:
    """Put the class token in front of cells [..., cells, C]."""
    summary = np.tanh(cells.mean(axis=-2, keepdims=True) @ model.summary)
    return np.concatenate([summary, cells], axis=-2)


def _log_prob(model: SubwordCaptionModel, cells: Array, tokens: tuple[int, ...]) -> Array:
    """Return the log-probability of a caption for each of some cells [B, cells, C]: [B]."""
    encodings, before = _encoding(model, cells), [START, *tokens[:-1]]
    scores = np.einsum("tc,bnc->btn", (model.embedding[before] @ model.query), encodings)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    logits = np.tanh(weights @ encodings) @ model.output + model.transition[before]
    largest = logits.max(axis=-1)
    sums = np.log(np.exp(logits - largest[..., None]).sum(axis=-1)) + largest
    own = logits[:, np.arange(len(tokens)), list(tokens)]
    return np.asarray((own - sums).sum(axis=-1))


def _margin(
    model: SubwordCaptionModel, cells: Array, own: tuple[int, ...], rival: tuple[int, ...]
) -> Array:
    """Return by how much a caption beats a rival, as the search ranks them: [B]."""
    return _log_prob(model, cells, own) - _log_prob(model, cells, rival)


def _linearised(
    model: SubwordCaptionModel, cells: Array, own: tuple[int, ...], rival: tuple[int, ...]
) -> tuple[float, Array]:
    """Return the margin at cells [cells, C], and its gradient by central differences."""
    delta = 1e-5
    moves = np.eye(cells.size).reshape(-1, *cells.shape) * delta
    around = np.concatenate([cells[None], cells + moves, cells - moves])
    margins = _margin(model, around, own, rival)
    ahead, behind = margins[1 : cells.size + 1], margins[cells.size + 1 :]
    return float(margins[0]), ((ahead - behind) / (2 * delta)).reshape(cells.shape)
