"""k-means clusters of segments, and the rules for which clusters may be concepts.

The rules are those of Ghorbani et al., Towards Automatic Concept-based Explanations, NeurIPS 2019:
a cluster that many images have, or that is large. The work is done in slices, so that other work
can run in between.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CLUSTER_COUNT = 25
"""As in Ghorbani et al., NeurIPS 2019."""

MAX_SEGMENTS = 40
"""Segments of a concept: those nearest the centre of its cluster."""

MIN_SEGMENTS = 12
"""The mean of fewer segments shows single segments rather than what they have in common."""

_MAX_ITERATIONS = 40
"""A few points may switch clusters for long without moving the centres."""

_SLICE = 8000
"""Approximate number of points that are compared with the centres in one slice."""


class Clusters(NamedTuple):
    """A partition of P points; no cluster is empty."""

    labels: NDArray[np.intp]
    """The cluster of each point, [P], from 0."""
    distances: NDArray[np.float32]
    """Distance of each point to the centre of its cluster, [P]."""


@dataclass(frozen=True, slots=True, eq=False)
class Cluster:
    """Segments with similar activations."""

    members: NDArray[np.intp]
    """Indices of at most `MAX_SEGMENTS` patches, the nearest to the centre first."""
    size: int
    """Number of segments."""
    images: int
    """Number of images that have one."""
    drop_reason: str
    """Why it cannot be a concept, as text for people; empty if it may be one."""


def k_means(
    points: NDArray[np.float32], clusters: int, seed: int
) -> Generator[float, None, Clusters]:
    """Find clusters by Lloyd's algorithm with k-means++ initialisation.

    k-means++: Arthur and Vassilvitskii, The Advantages of Careful Seeding, 2007.

    Args:
        points: [P, C], at least one.
        clusters: Number of clusters; there are fewer if fewer points differ.
        seed: Of the initial centres.

    Yields:
        The share that is done, in 0..1, after every iteration and every few thousand points.
    """
    centres = yield from _initial_centres(points, clusters, np.random.default_rng(seed))
    labels = np.full(len(points), -1)
    for iteration in range(_MAX_ITERATIONS):
        before, (labels, _) = labels, (yield from _nearest(points, centres, iteration))
        if np.array_equal(before, labels):
            break
        counts = np.bincount(labels, minlength=len(centres))
        members = np.eye(len(centres), dtype=np.float32)[labels]
        # A cluster that has lost all its points keeps its centre.
        means = (members.T @ points) / np.maximum(counts, 1)[:, None].astype(np.float32)
        centres = np.where(counts[:, None] > 0, means, centres)
    labels, distances = yield from _nearest(points, centres, _MAX_ITERATIONS)
    _, numbered = np.unique(labels, return_inverse=True)
    return Clusters(numbered, distances)


def prune(clusters: Clusters, owners: NDArray[np.intp], images: int) -> list[Cluster]:
    """Decide which clusters may be concepts.

    Args:
        clusters: Of P patches.
        owners: The image of each patch, [P].
        images: Number of images that were searched.

    Returns:
        All clusters, those that most images have first.
    """
    found = []
    for label in range(clusters.labels.max() + 1):
        indices = np.flatnonzero(clusters.labels == label)
        nearest = indices[np.argsort(clusters.distances[indices], kind="stable")]
        having = len(np.unique(owners[indices]))
        reason = _drop_reason(len(indices), having, images)
        found.append(Cluster(nearest[:MAX_SEGMENTS], len(indices), having, reason))
    return sorted(found, key=lambda each: (each.images, each.size), reverse=True)


def _initial_centres(
    points: NDArray[np.float32], clusters: int, rng: np.random.Generator
) -> Generator[float, None, NDArray[np.float32]]:
    chosen = [int(rng.integers(len(points)))]
    squares = _squared_distances(points, points[chosen])[:, 0]
    while len(chosen) < clusters and squares.max() > 0:
        yield 0.0
        chosen.append(int(rng.choice(len(points), p=squares / squares.sum())))
        squares = np.minimum(squares, _squared_distances(points, points[chosen[-1:]])[:, 0])
        squares[chosen] = 0
    return points[chosen]


def _nearest(
    points: NDArray[np.float32], centres: NDArray[np.float32], iteration: int
) -> Generator[float, None, tuple[NDArray[np.intp], NDArray[np.float32]]]:
    labels, distances = [], []
    for start in range(0, len(points), _SLICE):
        yield iteration / (_MAX_ITERATIONS + 1)
        squares = _squared_distances(points[start : start + _SLICE], centres)
        labels.append(squares.argmin(axis=1))
        distances.append(np.sqrt(squares.min(axis=1)).astype(np.float32))
    return np.concatenate(labels), np.concatenate(distances)


def _squared_distances(
    points: NDArray[np.float32], centres: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the squared distances of points [P, C] to centres [K, C]: [P, K]."""
    lengths = np.einsum("pc,pc->p", points, points).astype(np.float64)
    products = (points @ centres.T).astype(np.float64)
    squares = lengths[:, None] - 2 * products + (centres.astype(np.float64) ** 2).sum(axis=1)
    return np.asarray(np.maximum(squares, 0), np.float64)


def _drop_reason(size: int, having: int, images: int) -> str:
    common = having > images / 2
    fairly_common = having > images / 4 and size > images
    large = size > 2 * images
    if not (common or fairly_common or large):
        return f"only {having} of {images} images have it"
    if size < MIN_SEGMENTS:
        return f"it has only {size} segments"
    return ""
