"""A picture's grid as a sum of few parts, each one thing that channels see together.

Non-negative matrix factorisation of the cells (Lee and Seung, Learning the parts of objects by
non-negative matrix factorization, Nature 1999) as CRAFT takes grids apart (Fel et al., CRAFT:
Concept Recursive Activation FacTorization for Explainability, CVPR 2023): A = W H, with H what the
parts look like and W how much of each a cell has. What a part matters is told by the caption's
words without it. Shapes below: N cells, C channels, K parts.
"""

import warnings
from collections.abc import Generator, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import non_negative_factorization
from sklearn.exceptions import ConvergenceWarning

from inference.adversarial import diff_words, kept_places
from inference.concepts.findings import Component, Factors
from inference.explanations import Map
from inference.explanations.subject import Subject
from models.language import tokenize
from models.language.content_words import content_words

Array = NDArray[np.float32]


SILU_FLOOR = 0.2785
"""SiLU is nowhere below minus this (Elfwing et al., 2018: -0.278)."""


_CELLS_AT_ONCE = 1_600
"""Cells times iterations between two breaks: some 40 ms of 1,280 channels."""


_MOST_ITERATIONS = 120


_ENOUGH = 1e-4
"""Less than this share of the error gained by an iteration ends the search."""


_WORDS = 3


_LOSS = 0.1
"""Nats that a word has to lose without a part to be named."""


def factorise(
    subject: Subject, others: Sequence[Array], rank: int, seed: int
) -> Generator[float, None, Factors]:
    """Take the grid of a picture apart.

    Grids that are negative nowhere are taken as they are. Those of encoders that end in SiLU are
    raised by `SILU_FLOOR` for it, and what is made of parts is lowered again.

    Args:
        subject: The picture and its caption.
        others: Grids of pictures of the same kind, [rows, columns, C] each: parts are sought that
            serve for all of them, the picture's own included. There may be none.
        rank: Parts; fewer if there are fewer cells or channels.
        seed: Of what is drawn.

    Yields:
        How much is done, in 0..1, about every 50 ms.

    Raises:
        ValueError: If the grid has values that no known activation makes.
    """
    grid = subject.grid
    lift = lifted(grid)
    cells = np.concatenate([each.reshape(-1, grid.shape[-1]) for each in (grid, *others)]) + lift
    own = grid.shape[0] * grid.shape[1]
    amounts, looks = yield from nmf(np.maximum(cells, 0), rank, seed)
    parts = np.einsum("nk,kc->knc", amounts[:own], looks).reshape(-1, *grid.shape)
    made = parts.sum(axis=0) - lift
    yield 0.9
    without = np.maximum(grid - parts, -lift)
    losses = _losses(subject, without)
    yield 0.95
    again = subject.model.search(np.maximum(made, -lift)[None].astype(np.float32)).tokens[0]
    before, after = (subject.model.text(each) for each in (np.array(subject.tokens), again))
    strengths = amounts[:own] * np.linalg.norm(looks, axis=1)
    maps = [Map(np.asarray(each.reshape(grid.shape[:2]), np.float32)) for each in strengths.T]
    order = np.argsort(-losses.mean(axis=1), kind="stable")
    return Factors(
        components=tuple(
            Component(maps[k], float(losses[k].mean()), _losers(subject, losses[k])) for k in order
        ),
        explained=explained(grid, made),
        caption=after,
        agreement=agreement(before, after),
    )


def lifted(grid: Array) -> float:
    """Tell by how much a grid has to be raised to be negative nowhere: 0, or `SILU_FLOOR`.

    Raises:
        ValueError: If it has values below what SiLU makes.
    """
    lowest = float(grid.min())
    if lowest >= 0:
        return 0.0
    if lowest < -SILU_FLOOR:
        raise ValueError(
            f"the encoder's grid goes down to {lowest:.2f}: only grids after ReLU, ReLU6 or SiLU "
            "can be taken apart into parts that add up"
        )
    return SILU_FLOOR


def nmf(cells: Array, rank: int, seed: int) -> Generator[float, None, tuple[Array, Array]]:
    """Factorise cells, which are negative nowhere, by coordinate descent.

    Args:
        cells: [N, C].
        rank: Parts; fewer if there are fewer cells or channels.
        seed: Of what is drawn where the start has zeros.

    Yields:
        How much is done, in 0..0.9.

    Returns:
        W, [N, K], and H, [K, C].
    """
    used = np.flatnonzero(cells.any(axis=0))
    x = np.ascontiguousarray(cells[:, used])
    rank = min(rank, *x.shape)
    looks = np.zeros((rank, cells.shape[1]), np.float32)
    if not rank:
        return np.zeros((len(cells), 0), np.float32), looks
    step = max(1, _CELLS_AT_ONCE // len(x))
    start: dict[str, object] = {"init": "nndsvda"}
    before = float(np.square(x).sum())
    for iterations in range(0, _MOST_ITERATIONS, step):
        yield 0.9 * iterations / _MOST_ITERATIONS
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            amounts, found, _ = non_negative_factorization(
                x, n_components=rank, max_iter=step, random_state=seed, **start
            )
        start = {"init": "custom", "W": amounts, "H": found}
        error = float(np.square(x - amounts @ found).sum())
        if before - error <= _ENOUGH * step * before:
            break
        before = error
    looks[:, used] = found
    return amounts, looks


def explained(grid: Array, made: Array) -> float:
    """Tell the share of the variance over the cells that is made up, in 0..1."""
    spread = float(np.square(grid - grid.mean(axis=(0, 1))).sum())
    missed = float(np.square(grid - made).sum())
    return max(0.0, 1 - missed / spread) if spread else 1.0


def agreement(before: str, after: str) -> float:
    """Tell the share of a caption's words that another says too, in the same order: in 0..1."""
    words = tokenize(before)
    kept = kept_places(diff_words(words, tokenize(after)))
    return len(kept) / len(words) if words else 1.0


def _losses(subject: Subject, grids: Array) -> NDArray[np.float64]:
    """How much log-probability each word loses in each of the grids, in nats: [B, words]."""
    count = len(subject.words)
    told = subject.model.retell(grids.astype(np.float32), [subject.tokens] * len(grids))
    before = np.asarray(subject.told.log_probs)[:count]
    return np.asarray(before - np.asarray(told.log_probs)[:, :count], np.float64)


def _losers(subject: Subject, losses: NDArray[np.float64]) -> tuple[str, ...]:
    """The words that lose most, of those that carry meaning."""
    names = subject.model.captioner.vocabulary.words
    said = [names[token] for token in subject.words]
    order = [place for place in np.argsort(-losses) if losses[place] > _LOSS]
    words = dict.fromkeys(said[place] for place in order if content_words(said[place]))
    return tuple(words)[:_WORDS]
