"""Concept activation vectors: directions that tell a concept's patches from random ones.

Kim et al., Interpretability Beyond Feature Attribution: Quantitative Testing with Concept
Activation Vectors (TCAV), ICML 2018. The linear classifier is Fisher's discriminant with one
covariance, that of all random patches, shrunk after Ledoit and Wolf (A Well-conditioned Estimator
for Large-dimensional Covariance Matrices, 2004). It has one solution, and that is linear in the
mean of the concept's patches: thousands of random concepts can be put to the same test as the
concept. Shapes below: N patches of a concept, R random sets, C channels.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

SETS = 20
"""Random sets, each of which gives a vector of its own."""
_LEAST_SHRUNK, _TINY = 1e-3, 1e-9


class Covariance(NamedTuple):
    """Of random patches, shrunk; kept as the patches, of which there are fewer than channels."""

    patches: Array
    """Less their mean, [M, C]."""
    inner: Array
    """[M, M], see `solve`."""
    ridge: float
    """What is added to each channel's variance."""

    def solve(self, vectors: Array) -> Array:
        """Multiply vectors [..., C] with the inverse (Woodbury's identity)."""
        within = ((vectors @ self.patches.T) @ self.inner) @ self.patches
        return np.asarray((vectors - within) / self.ridge, np.float32)


class RandomSets(NamedTuple):
    """What concepts are told from."""

    means: Array
    """Of the patches of each set, [R, C]."""
    covariance: Covariance
    """Of all their patches."""


class Cavs(NamedTuple):
    """The vectors of one concept."""

    vectors: Array
    """One for each random set, of any length, towards the concept: [R, C]."""
    accuracy: float
    """Share of patches that the classifiers have not seen, the concept's and random ones weighed
    alike, which they tell rightly; 0.5 is chance."""

    @property
    def direction(self) -> Array:
        """Of all of them together: [C], of length 1."""
        mean = self.vectors.mean(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def random_sets(activations: Array, sets: int = SETS) -> RandomSets:
    """Make sets of random patches, in their order: of equal size as near as can be.

    Args:
        activations: Of patches drawn at random, two a set at least.
        sets: Their number.

    Raises:
        ValueError: If there are too few patches.
    """
    if len(activations) < 2 * sets:
        raise ValueError(f"{sets} random sets need {2 * sets} patches, not {len(activations)}")
    parts = np.array_split(activations, sets)
    means = np.array([part.mean(axis=0) for part in parts], np.float32)
    return RandomSets(means, shrunk(activations))


def shrunk(activations: Array) -> Covariance:
    """Estimate the covariance of activations [M, C] after Ledoit and Wolf."""
    count, channels = activations.shape
    patches = activations - activations.mean(axis=0)
    gram = (patches @ patches.T).astype(np.float64)
    variance = np.trace(gram) / count / channels
    square = float((gram**2).sum()) / count**2
    apart = max(square - channels * variance**2, _TINY)
    error = ((np.diagonal(gram) ** 2).sum() / count - square) / count
    shrinkage = min(max(error / apart, _LEAST_SHRUNK), 1 - _TINY)
    ridge = max(shrinkage * variance, _TINY)
    scale = ridge * count / (1 - shrinkage)
    inner = np.linalg.inv(gram + scale * np.eye(count))
    return Covariance(patches, inner.astype(np.float32), float(ridge))


def cavs(concept: Array, others: Array, random: RandomSets) -> Cavs:
    """Tell a concept from each random set.

    Args:
        concept: Activations of its patches, [N, C], two at least.
        others: Of random patches that are in no set, [M, C], one at least: how well the concept is
            told is measured on them, and on each patch of its own left out in turn.
        random: The sets.
    """
    mean, covariance = concept.mean(axis=0), random.covariance
    vectors = covariance.solve(mean - random.means)
    # Without one patch x the mean moves by (mean - x) / (N - 1), and the vector along with it.
    moved = (mean - concept) / (len(concept) - 1)
    turned = covariance.solve(moved)
    rights = []
    for vector, centre in zip(vectors, random.means, strict=True):
        own = (concept - (mean + moved + centre) / 2) * (vector + turned)
        away = (others - (mean + centre) / 2) @ vector
        rights.append((np.mean(own.sum(axis=1) > 0) + np.mean(away < 0)) / 2)
    return Cavs(vectors, float(np.mean(rights)))
