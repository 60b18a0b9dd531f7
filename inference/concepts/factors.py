"""Factorise an image's grid into a few components by non-negative matrix factorisation (NMF).

NMF of the cells (Lee and Seung, Learning the parts of objects by non-negative matrix factorization,
Nature 1999), as CRAFT applies it to grids (Fel et al., CRAFT: Concept Recursive Activation
FacTorization for Explainability, CVPR 2023): A = W H, with the patterns H of the components and
each cell's weights W. The importance of a component is what the caption's words lose without it.
Cells with values of both signs, as after layer normalisation, are split into their positive and
their negative part, which are factorised side by side (Kim and Tidor, Subsystem Identification
Through Dimensionality Reduction of Large-Scale Gene Expression Data, Genome Research 2003).
Shapes: N cells, C channels, K components.
"""

import warnings
from collections.abc import Generator, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import non_negative_factorization
from sklearn.exceptions import ConvergenceWarning

from inference.concepts.findings import Component, Factors
from inference.explanations import Map
from inference.explanations.captioned_image import CaptionedImage
from models.language import content_words, diff_words, kept_places, tokenize

Array = NDArray[np.float32]

SILU_FLOOR = 0.2785
"""SiLU is nowhere below minus this (Elfwing et al., 2018: -0.278)."""

_CELLS_PER_SLICE = 1_600
"""Cells times iterations between two yields: about 40 ms with 1,280 channels."""

_MAX_ITERATIONS = 120

_TOLERANCE = 1e-4
"""Stop when an iteration lowers the error by less than this share of it."""

_MAX_WORDS = 3

_MIN_LOSS = 0.1
"""Loss, in nats, from which a word is listed with a component."""


def factorise(
    subject: CaptionedImage, others: Sequence[Array], rank: int, seed: int
) -> Generator[float, None, Factors]:
    """Factorise the cells of an image.

    Cells without negative values are used as they are. Those of encoders that end in SiLU are
    raised by `SILU_FLOOR` first, and reconstructions are lowered again; others are split. What an
    encoding has besides the cells stays as it is.

    Args:
        subject: The image and its caption.
        others: Encodings of similar images, possibly none: the components are fitted to all of them
            together with the image's own.
        rank: Number of components; fewer if there are fewer cells or channels.
        seed: Of the random initialisation.

    Yields:
        The share that is done, in 0..1, about every 50 ms.
    """
    model, cells = subject.model, subject.cells
    offset = silu_offset(cells)
    lowest = -np.inf if offset is None else -offset
    images = (cells, *(model.cells(each[None])[0] for each in others))
    flat = np.concatenate([each.reshape(-1, cells.shape[-1]) for each in images])
    own = cells.shape[0] * cells.shape[1]
    used = _split_signs(flat) if offset is None else np.maximum(flat + offset, 0)
    weights, patterns = yield from nmf(used, rank, seed)
    strengths = weights[:own] * np.linalg.norm(patterns, axis=1)
    if offset is None:
        positive, negative = np.split(patterns, 2, axis=1)
        patterns = positive - negative
    parts = np.einsum("nk,kc->knc", weights[:own], patterns).reshape(-1, *cells.shape)
    reconstruction = parts.sum(axis=0) - (offset or 0.0)
    yield 0.9
    losses = _losses(subject, np.maximum(cells - parts, lowest))
    yield 0.95
    reconstructed = np.maximum(reconstruction, lowest)[None].astype(np.float32)
    tokens = model.search(model.with_cells(subject.grid[None], reconstructed)).tokens[0]
    before, after = (model.text(each) for each in (subject.tokens, tokens))
    maps = [Map(np.asarray(each.reshape(cells.shape[:2]), np.float32)) for each in strengths.T]
    # Of a caption without words the mean is undefined; nothing can be lost.
    importances = losses.sum(axis=1) / max(1, losses.shape[1])
    order = np.argsort(-importances, kind="stable")
    return Factors(
        components=tuple(
            Component(maps[k], float(importances[k]), _words_with_loss(subject, losses[k]))
            for k in order
        ),
        explained=explained_variance(cells, reconstruction),
        caption=after,
        agreement=agreement(before, after),
    )


def silu_offset(cells: Array) -> float | None:
    """Return what makes cells non-negative when added: 0, or `SILU_FLOOR`.

    None if they have values below those of SiLU, so that they are split instead.
    """
    lowest = float(cells.min())
    if lowest >= 0:
        return 0.0
    return SILU_FLOOR if lowest >= -SILU_FLOOR else None


def _split_signs(cells: Array) -> Array:
    """Split cells [N, C] into their positive and negative parts: [N, 2C], none below 0."""
    return np.concatenate([np.maximum(cells, 0), np.maximum(-cells, 0)], axis=1)


def nmf(cells: Array, rank: int, seed: int) -> Generator[float, None, tuple[Array, Array]]:
    """Factorise non-negative cells by coordinate descent.

    Args:
        cells: [N, C].
        rank: Number of components; fewer if there are fewer cells or channels.
        seed: Of the random values that replace zeros at the start.

    Yields:
        The share that is done, in 0..0.9.

    Returns:
        The weights W, [N, K], and the patterns H, [K, C].
    """
    used = np.flatnonzero(cells.any(axis=0))
    x = np.ascontiguousarray(cells[:, used])
    rank = min(rank, *x.shape)
    patterns = np.zeros((rank, cells.shape[1]), np.float32)
    if not rank:
        return np.zeros((len(cells), 0), np.float32), patterns
    step = max(1, _CELLS_PER_SLICE // len(x))
    start: dict[str, object] = {"init": "nndsvda"}
    before = float(np.square(x).sum())
    for iterations in range(0, _MAX_ITERATIONS, step):
        yield 0.9 * iterations / _MAX_ITERATIONS
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            weights, found, _ = non_negative_factorization(
                x, n_components=rank, max_iter=step, random_state=seed, **start
            )
        start = {"init": "custom", "W": weights, "H": found}
        error = float(np.square(x - weights @ found).sum())
        if before - error <= _TOLERANCE * step * before:
            break
        before = error
    patterns[:, used] = found
    return weights, patterns


def explained_variance(grid: Array, reconstruction: Array) -> float:
    """Return the share of the variance over the cells that is reconstructed, in 0..1."""
    total = float(np.square(grid - grid.mean(axis=(0, 1))).sum())
    residual = float(np.square(grid - reconstruction).sum())
    return max(0.0, 1 - residual / total) if total else 1.0


def agreement(before: str, after: str) -> float:
    """Return the share of a caption's words that another has too, in the same order: in 0..1."""
    words = tokenize(before)
    kept = kept_places(diff_words(words, tokenize(after)))
    return len(kept) / len(words) if words else 1.0


def _losses(subject: CaptionedImage, cells: Array) -> NDArray[np.float64]:
    """Return the log-probability that each word loses with cells [B, ...], in nats: [B, words]."""
    same = np.repeat(subject.grid[None], len(cells), axis=0)
    grids = subject.model.with_cells(same, cells.astype(np.float32))
    rescored = subject.model.rescore(grids, [subject.tokens] * len(grids))
    before = subject.word_sums(subject.rescored.log_probs)
    return np.asarray(before - subject.word_sums(rescored.log_probs), np.float64)


def _words_with_loss(subject: CaptionedImage, losses: NDArray[np.float64]) -> tuple[str, ...]:
    """Return the content words with the largest losses."""
    caption = [word.text for word in subject.spans]
    order = [place for place in np.argsort(-losses) if losses[place] > _MIN_LOSS]
    words = dict.fromkeys(caption[place] for place in order if content_words(caption[place]))
    return tuple(words)[:_MAX_WORDS]
