"""TCAV: test whether a word's logit depends on a concept more than on random ones.

Kim et al., ICML 2018, test over random sets, which share the concept's patches and so are not
independent samples of it. Here scenes are the samples. For each concept, two questions are tested:

- Are its derivatives over the scenes farther from 0 than those of random concepts? The statistic is
  the mean derivative over the scenes. The TCAV score itself, a share, is often 0 or 1 for random
  concepts too, because the gradients of scenes resemble each other; the same holds for the mean in
  units of its deviation. Random concepts are means of random patches, none of the concept's own,
  that deviate from the overall mean as much as the same number of new random patches would (p after
  Phipson and Smyth, Permutation P-values Should Never Be Zero, 2010).
- Does the share of scenes with a positive derivative differ from a half by more than chance (sign
  test)?

The reported p is the larger of the two, which keeps the significance level of both.

A concept activation vector (CAV) separates a concept's patches from random ones. The classifier is
Fisher's discriminant with a single covariance, that of all random patches, shrunk after Ledoit and
Wolf (A Well-conditioned Estimator for Large-dimensional Covariance Matrices, 2004). Its solution is
unique and linear in the mean of the concept's patches, so thousands of random concepts can undergo
the same test as the concept. Shapes: S scenes, N
patches of a concept, M other patches, R random sets, C channels.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.stats import binomtest

from inference.captioning import SCENE_CUT_DISTANCE, Features
from inference.captioning.model import CaptionModel
from inference.concepts.findings import MIN_SCENES, Evidence, Verdict
from inference.explanations.score import word_terms
from inference.significance import SIGNIFICANCE_LEVEL, holm

Array = NDArray[np.float32]

SET_COUNT = 20
"""Random sets; each gives one vector."""

RANDOM_CONCEPTS = 4999
"""With 25 tests in a run, each can be significant: its p can be as small as 1/5000."""

MIN_ACCURACY = 0.75
"""A concept that is separated from random patches less often than this is no direction."""

_BATCH = 250
_MIN_SHRINKAGE, _TINY = 1e-3, 1e-9


class Covariance(NamedTuple):
    """Shrunk covariance of random patches, stored as the patches: they are fewer than channels."""

    patches: Array
    """Less their mean, [M, C]."""
    inner: Array
    """[M, M], see `solve`."""
    ridge: float
    """Added to the variance of each channel."""

    def solve(self, vectors: Array) -> Array:
        """Multiply vectors [..., C] with the inverse covariance (Woodbury's identity)."""
        within = ((vectors @ self.patches.T) @ self.inner) @ self.patches
        return np.asarray((vectors - within) / self.ridge, np.float32)


class RandomSets(NamedTuple):
    """Random patches that concepts are separated from."""

    means: Array
    """Mean of the patches of each set, [R, C]."""
    covariance: Covariance
    """Of the patches of all sets."""


class Cavs(NamedTuple):
    """The activation vectors of one concept."""

    vectors: Array
    """One for each random set, of any length, pointing to the concept: [R, C]."""
    accuracy: float
    """Share of held-out patches that the classifiers assign correctly, with equal weight for the
    concept's and the random ones; 0.5 is chance."""

    @property
    def direction(self) -> Array:
        """The mean vector, normalised: [C], of length 1."""
        mean = self.vectors.mean(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def make_random_sets(activations: Array, sets: int = SET_COUNT) -> RandomSets:
    """Split random patches, in their order, into sets of nearly equal size.

    Args:
        activations: Activations of random patches, [P, C], at least two for each set.
        sets: Number of sets.

    Raises:
        ValueError: If there are too few patches.
    """
    if len(activations) < 2 * sets:
        raise ValueError(f"{sets} random sets need {2 * sets} patches, not {len(activations)}")
    parts = np.array_split(activations, sets)
    means = np.array([part.mean(axis=0) for part in parts], np.float32)
    return RandomSets(means, shrunk_covariance(activations))


def shrunk_covariance(activations: Array) -> Covariance:
    """Estimate the covariance of activations [M, C] after Ledoit and Wolf."""
    count, channels = activations.shape
    patches = activations - activations.mean(axis=0)
    gram = (patches @ patches.T).astype(np.float64)
    variance = np.trace(gram) / count / channels
    square = float((gram**2).sum()) / count**2
    distance = max(square - channels * variance**2, _TINY)
    error = ((np.diagonal(gram) ** 2).sum() / count - square) / count
    shrinkage = min(max(error / distance, _MIN_SHRINKAGE), 1 - _TINY)
    ridge = max(shrinkage * variance, _TINY)
    scale = ridge * count / (1 - shrinkage)
    inner = np.linalg.inv(gram + scale * np.eye(count))
    return Covariance(patches, inner.astype(np.float32), float(ridge))


def fit_cavs(concept: Array, others: Array, random: RandomSets) -> Cavs:
    """Separate a concept from each random set.

    Args:
        concept: Activations of the concept's patches, [N, C], at least two.
        others: Activations of random patches that are in no set, [M, C], at least one. The accuracy
            is measured on them, and by leaving out each of the concept's patches in turn.
        random: The random sets.
    """
    mean, covariance = concept.mean(axis=0), random.covariance
    vectors = covariance.solve(mean - random.means)
    # Without a patch x the mean moves by (mean - x) / (N - 1), and the vector moves with it.
    mean_shifts = (mean - concept) / (len(concept) - 1)
    vector_shifts = covariance.solve(mean_shifts)
    accuracies = []
    for vector, centre in zip(vectors, random.means, strict=True):
        own = (concept - (mean + mean_shifts + centre) / 2) * (vector + vector_shifts)
        other = (others - (mean + centre) / 2) @ vector
        accuracies.append((np.mean(own.sum(axis=1) > 0) + np.mean(other < 0)) / 2)
    return Cavs(vectors, float(np.mean(accuracies)))


@dataclass(frozen=True, slots=True, eq=False)
class TcavResult:
    """Test statistics of one concept and one word."""

    cavs: Cavs
    tcav: float
    """Share of the scenes in which more of the concept raises the logit: mean over the sets."""
    tcav_random: float
    """The same for random concepts: the mean."""
    p: float
    """Two-sided, before any correction."""
    scenes: int


def logit_gradient(model: CaptionModel, grid: Array, tokens: Sequence[int], index: int) -> Array:
    """Differentiate the teacher-forced logit of a caption's word to the cells.

    Args:
        model: The captioner.
        grid: The encoding of the image.
        tokens: Of the caption, with or without its end token.
        index: Index of the word.

    Returns:
        The mean over the cells, [C]: the logit's response when all cells change alike.
    """
    word = model.wording.words(tokens)[index]
    prefix = np.array(tokens[: word.stop], np.int32)
    gradient = model.gradient(grid, prefix, word_terms(tokens, word))
    return np.asarray(model.cells(gradient[None])[0].mean(axis=(0, 1)), np.float32)


def group_scenes(
    frames: Sequence[Features], scene_cut: float = SCENE_CUT_DISTANCE
) -> NDArray[np.int32]:
    """Group frames into scenes, so that frames of one scene count as one sample.

    Frames closer than a scene cut are in one scene, also when only other frames connect them: a
    slowly changing view is one scene, and so is a view that the video cuts back to.

    Args:
        frames: Features of each frame, at least one.
        scene_cut: The distance from which frames show another scene, see `Steadiness`.

    Returns:
        int32 [N]: the scene of each frame, numbered from 0 without gaps.
    """
    vectors = np.array(frames, np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / np.where(norms > 0, norms, 1)
    near = 1 - units @ units.T < scene_cut
    _, labels = connected_components(near, directed=False)
    return np.asarray(labels, np.int32)


def mean_per_scene(gradients: Array, scenes: NDArray[np.int32]) -> Array:
    """Average the gradients [N, C] of each scene: [S, C]. `scenes` [N] holds the scene of each."""
    _, numbers = np.unique(scenes, return_inverse=True)
    sums = np.zeros((numbers.max() + 1, gradients.shape[1]), np.float32)
    np.add.at(sums, numbers, gradients)
    return np.asarray(sums / np.bincount(numbers)[:, None], np.float32)


def run_tcav(
    gradients: Array,
    concept: Array,
    others: Array,
    random: RandomSets,
    rng: np.random.Generator,
    random_concepts: int = RANDOM_CONCEPTS,
) -> Generator[float, None, TcavResult]:
    """Test whether a word depends on a concept.

    Args:
        gradients: Of the word's logit in each scene, [S, C], at least one; see `logit_gradient`.
        concept: Activations of the concept's patches, [N, C], at least two.
        others: Activations of random patches that are in no set, [M, C].
        random: The random sets.
        rng: Draws the random concepts.
        random_concepts: Number of random concepts.

    Yields:
        The share that is done, in 0..1.

    Returns:
        The statistics, whatever the number of scenes; see `verdicts`.
    """
    cavs = fit_cavs(concept, others, random)
    yield 0.0
    solved = random.covariance.solve(gradients)
    responses = others @ solved.T
    size = _random_concept_size(len(concept), len(others))
    offsets = random.means @ solved.T
    effect, share = _effects((concept @ solved.T).mean(axis=0)[None], offsets)
    extremes, random_shares = 1, []
    for start in range(0, random_concepts, _BATCH):
        yield start / random_concepts
        keys = rng.random((min(_BATCH, random_concepts - start), len(responses)))
        chosen = np.argpartition(keys, size - 1, axis=1)[:, :size]
        effects, shares = _effects(responses[chosen].mean(axis=1), offsets)
        extremes += int(np.count_nonzero(np.abs(effects) >= np.abs(effect[0])))
        random_shares.append(shares)
    sign_p = binomtest(round(float(share[0]) * len(gradients)), len(gradients)).pvalue
    return TcavResult(
        cavs=cavs,
        tcav=float(share[0]),
        tcav_random=float(np.concatenate(random_shares).mean()),
        p=max(extremes / (random_concepts + 1), float(sign_p)),
        scenes=len(gradients),
    )


def verdicts(results: Sequence[TcavResult]) -> list[Evidence]:
    """Judge all tests of a run, with Holm's correction for their number.

    Each concept is presented on its own as one that a word depends on, so the probability that any
    of them is wrong is limited to `SIGNIFICANCE_LEVEL`. Holm's correction ensures this for any
    dependence between the tests, which share their scenes and random sets. Results without enough
    evidence do not count as tests.
    """
    enough = [each.scenes >= MIN_SCENES and each.cavs.accuracy >= MIN_ACCURACY for each in results]
    tests = [each.p for each, is_test in zip(results, enough, strict=True) if is_test]
    corrected = iter(holm(tests))
    return [
        _evidence(each, next(corrected) if is_test else None)
        for each, is_test in zip(results, enough, strict=True)
    ]


def _random_concept_size(concept: int, others: int) -> int:
    """Choose how many of M patches make a random concept that matches one of N new patches.

    With unit variance, the mean of n out of M patches has variance 1/n - 1/M around the mean of
    all; that of N new patches has 1/N + 1/M.
    """
    return max(1, int(1 / (1 / concept + 2 / others)))


def _effects(responses: Array, offsets: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compare responses [D, S] with those of the random sets [R, S].

    Returns the mean derivative over the scenes, and the share of derivatives above 0, both averaged
    over the sets: [D] each.
    """
    derivatives = (responses[:, None] - offsets).astype(np.float64)
    return derivatives.mean(axis=(1, 2)), (derivatives > 0).mean(axis=(1, 2))


def _evidence(result: TcavResult, p: float | None) -> Evidence:
    verdict: Verdict = "not shown"
    if p is None:
        verdict = "not enough evidence"
    elif p < SIGNIFICANCE_LEVEL:
        verdict = "supports" if result.tcav > 0.5 else "opposes"
    return Evidence(result.tcav, result.tcav_random, p, result.scenes, verdict)
