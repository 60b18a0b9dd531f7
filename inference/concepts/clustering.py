"""k-means in slices, so that other work comes between.

Which clusters of segments may be concepts: those that many pictures have, or that are large.

The rules of Ghorbani et al., Towards Automatic Concept-based Explanations, NeurIPS 2019.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CLUSTERS = 25
"""As in Ghorbani et al., NeurIPS 2019."""

_ITERATIONS = 40
"""At most; a few points may change sides for long, which moves the centres no more."""

_AT_ONCE = 8000
"""Points that are compared with a centre or with all in a slice, about."""

MOST = 40
"""Segments of a concept: those nearest the centre of its cluster."""

FEWEST = 12
"""With fewer, a linear classifier tells one segment from others rather than a concept."""


class Clusters(NamedTuple):
    """A partition of P points; no cluster is empty."""

    labels: NDArray[np.intp]
    """The cluster of each point, [P], from 0."""
    distances: NDArray[np.float32]
    """Of each point from the centre of its cluster, [P]."""


def k_means(
    points: NDArray[np.float32], clusters: int, seed: int
) -> Generator[float, None, Clusters]:
    """Find clusters: Lloyd's algorithm, from centres by k-means++.

    The latter is Arthur and Vassilvitskii, k-means++: The Advantages of Careful Seeding, 2007.

    Args:
        points: [P, C], one at least.
        clusters: As many, or fewer if fewer points differ.
        seed: Of the first centres.

    Yields:
        How much is done, in 0..1, after every iteration and every few thousand points.
    """
    centres = yield from _first_centres(points, clusters, np.random.default_rng(seed))
    labels = np.full(len(points), -1)
    for iteration in range(_ITERATIONS):
        before, (labels, _) = labels, (yield from _nearest(points, centres, iteration))
        if np.array_equal(before, labels):
            break
        counts = np.bincount(labels, minlength=len(centres))
        members = np.eye(len(centres), dtype=np.float32)[labels]
        # The centre of a cluster that has lost all its points stays where it is.
        means = (members.T @ points) / np.maximum(counts, 1)[:, None].astype(np.float32)
        centres = np.where(counts[:, None] > 0, means, centres)
    labels, distances = yield from _nearest(points, centres, _ITERATIONS)
    _, numbered = np.unique(labels, return_inverse=True)
    return Clusters(numbered, distances)


def _first_centres(
    points: NDArray[np.float32], clusters: int, rng: np.random.Generator
) -> Generator[float, None, NDArray[np.float32]]:
    chosen = [int(rng.integers(len(points)))]
    squares = _squares(points, points[chosen])[:, 0]
    while len(chosen) < clusters and squares.max() > 0:
        yield 0.0
        chosen.append(int(rng.choice(len(points), p=squares / squares.sum())))
        squares = np.minimum(squares, _squares(points, points[chosen[-1:]])[:, 0])
        squares[chosen] = 0
    return points[chosen]


def _nearest(
    points: NDArray[np.float32], centres: NDArray[np.float32], iteration: int
) -> Generator[float, None, tuple[NDArray[np.intp], NDArray[np.float32]]]:
    labels, distances = [], []
    for start in range(0, len(points), _AT_ONCE):
        yield iteration / (_ITERATIONS + 1)
        squares = _squares(points[start : start + _AT_ONCE], centres)
        labels.append(squares.argmin(axis=1))
        distances.append(np.sqrt(squares.min(axis=1)).astype(np.float32))
    return np.concatenate(labels), np.concatenate(distances)


def _squares(points: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.float64]:
    """Squares of distances, [P, K]."""
    lengths = np.einsum("pc,pc->p", points, points).astype(np.float64)
    products = (points @ centres.T).astype(np.float64)
    found = lengths[:, None] - 2 * products + (centres.astype(np.float64) ** 2).sum(axis=1)
    return np.asarray(np.maximum(found, 0), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Cluster:
    """Segments that look alike to the captioner."""

    members: NDArray[np.intp]
    """At most `MOST`, the nearest to the centre first: places among the patches."""
    size: int
    """Segments in all."""
    pictures: int
    """In which there are some."""
    dropped: str
    """Why it can be no concept, for people; empty if it may be one."""


def prune(clusters: Clusters, owners: NDArray[np.intp], pictures: int) -> list[Cluster]:
    """Judge clusters.

    Args:
        clusters: Of P patches.
        owners: The picture of each patch, [P].
        pictures: In which concepts are sought, all of them.

    Returns:
        All clusters, those of most pictures first.
    """
    found = []
    for label in range(clusters.labels.max() + 1):
        places = np.flatnonzero(clusters.labels == label)
        nearest = places[np.argsort(clusters.distances[places], kind="stable")]
        has = len(np.unique(owners[places]))
        dropped = _why_dropped(len(places), has, pictures)
        found.append(Cluster(nearest[:MOST], len(places), has, dropped))
    return sorted(found, key=lambda each: (each.pictures, each.size), reverse=True)


def _why_dropped(size: int, has: int, pictures: int) -> str:
    common = has > pictures / 2
    rather = has > pictures / 4 and size > pictures
    large = size > 2 * pictures
    if not (common or rather or large):
        return f"only {has} of {pictures} pictures have it"
    if size < FEWEST:
        return f"it has only {size} segments"
    return ""
