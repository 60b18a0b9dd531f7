"""Which clusters of segments may be concepts: those that many pictures have, or that are large.

The rules of Ghorbani et al., Towards Automatic Concept-based Explanations, NeurIPS 2019.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.concepts.clustering import Clusters

MOST = 40
"""Segments of a concept: those nearest the centre of its cluster."""
FEWEST = 12
"""With fewer, a linear classifier tells one segment from others rather than a concept."""


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
