"""Concept activation vectors: directions that tell a concept's patches from random ones.

Kim et al., Interpretability Beyond Feature Attribution: Quantitative Testing with Concept
Activation Vectors (TCAV), ICML 2018. The linear classifier is Fisher's discriminant with one
covariance, that of all random patches, shrunk after Ledoit and Wolf (A Well-conditioned Estimator
for Large-dimensional Covariance Matrices, 2004). It has one solution, and that is linear in the
mean of the concept's patches: thousands of random concepts can be put to the same test as the
concept. Shapes below: N patches of a concept, R random sets, C channels.

How a word's logit answers to a direction in the grid, over pictures and scenes.

Kim et al., ICML 2018. Shapes below: N pictures, S scenes, C channels.

Whether a word leans on a concept more than on random ones: the test, and its correction.

Scenes are the samples (Kim et al., ICML 2018, test over random sets alone, which share the
concept's patches and so are no samples of it). Of a concept it is asked both

- whether its derivatives over the scenes are farther from 0 than those of random concepts. The
  TCAV score itself, a share, is often 0 or 1 of random concepts too, as the slopes of scenes
  resemble each other, and so is its mean in units of its deviation; what tells a concept from them
  is how large the derivative is, in the mean over the scenes. Random concepts are means of random
  patches, none of the concept's own, that stray from the mean of all as far as that of so many new
  random patches would (p as Phipson and Smyth, Permutation P-values Should Never Be Zero, 2010),
  and
- whether its share differs from a half by more than a coin's would in as many scenes,

and the larger p of the two counts, which keeps the level of both. Shapes below: S scenes, N patches
of a concept, M other patches, C channels.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from inference.captioning.model import CaptionModel
from inference.concepts.findings import Evidence, Verdict
from inference.explanations import Target
from inference.explanations.objective import terms
from models.language import END

Array = NDArray[np.float32]

SETS = 20
"""Random sets, each of which gives a vector of its own."""

_LEAST_SHRUNK, _TINY = 1e-3, 1e-9

ENOUGH_SCENES = 40
"""Fewer are too few for a test."""

LEVEL = 0.05
"""Of all tests of a run together."""

DRAWS = 4999
"""Random concepts: 25 tests of a run can be told from chance at 1/5000 each."""

SEPARATES = 0.75
"""A concept that is told from random patches less often than this is no direction."""

_AT_ONCE = 250


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


@dataclass(frozen=True, slots=True, eq=False)
class Tested:
    """What was found of one concept and one word."""

    cavs: Cavs
    tcav: float
    """Share of the scenes in which more of the concept raises the logit: mean over the sets."""
    tcav_random: float
    """The same of random concepts: the mean."""
    p: float
    """Two-sided, before any correction."""
    scenes: int


def examine(
    slopes: Array,
    concept: Array,
    others: Array,
    random: RandomSets,
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> Generator[float, None, Tested]:
    """Test whether a word leans on a concept.

    Args:
        slopes: Of the word's logit in each scene, [S, C], one at least; see `sensitivity`.
        concept: Activations of the concept's patches, [N, C], two at least.
        others: Of random patches that are in no set, [M, C].
        random: The random sets.
        rng: Draws the random concepts.
        draws: How many of them.

    Yields:
        How much is done, in 0..1.

    Returns:
        What was found, whatever the number of scenes: see `verdicts`.
    """
    fitted = cavs(concept, others, random)
    yield 0.0
    along = random.covariance.solve(slopes)
    answers = others @ along.T
    size = _size(len(concept), len(others))
    offsets = random.means @ along.T
    own, share = _effects((concept @ along.T).mean(axis=0)[None], offsets)
    extremes, shares = 1, []
    for start in range(0, draws, _AT_ONCE):
        yield start / draws
        keys = rng.random((min(_AT_ONCE, draws - start), len(answers)))
        chosen = np.argpartition(keys, size - 1, axis=1)[:, :size]
        effects, of_draws = _effects(answers[chosen].mean(axis=1), offsets)
        extremes += int(np.count_nonzero(np.abs(effects) >= np.abs(own[0])))
        shares.append(of_draws)
    coin = binomtest(round(float(share[0]) * len(slopes)), len(slopes)).pvalue
    return Tested(
        cavs=fitted,
        tcav=float(share[0]),
        tcav_random=float(np.concatenate(shares).mean()),
        p=max(extremes / (draws + 1), float(coin)),
        scenes=len(slopes),
    )


def verdicts(tested: Sequence[Tested]) -> list[Evidence]:
    """Judge all tests of a run, corrected for their number after Holm.

    Each concept is shown by itself as one that a word leans on, so it is the chance that any of
    them is wrong that is held to `LEVEL`; and Holm's correction does so however the tests hang
    together, which share their scenes and random sets. Those without enough evidence are not
    tests.
    """
    enough = [each.scenes >= ENOUGH_SCENES and each.cavs.accuracy >= SEPARATES for each in tested]
    tests = [each.p for each, is_test in zip(tested, enough, strict=True) if is_test]
    corrected = iter(holm(tests))
    return [
        _evidence(each, next(corrected) if is_test else None)
        for each, is_test in zip(tested, enough, strict=True)
    ]


def holm(p: Sequence[float]) -> list[float]:
    """Correct the p of several tests (Holm, A Simple Sequentially Rejective Procedure, 1979)."""
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    factors = np.arange(len(p), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(np.array(p)[order] * factors), 1)
    return [float(each) for each in corrected]


def _size(concept: int, others: int) -> int:
    """How many of M patches to draw so that their mean strays as that of N new ones would.

    The mean of n out of M, of variance 1 each, is 1/n - 1/M from that of all; that of N new ones
    1/N + 1/M.
    """
    return max(1, int(1 / (1 / concept + 2 / others)))


def _effects(answers: Array, offsets: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of derivatives [D, S], less those [R, S] of each random set, as means over the sets.

    The mean over the scenes, and the share above 0: [D] each.
    """
    derivatives = (answers[:, None] - offsets).astype(np.float64)
    return derivatives.mean(axis=(1, 2)), (derivatives > 0).mean(axis=(1, 2))


def _evidence(tested: Tested, p: float | None) -> Evidence:
    verdict: Verdict = "no effect"
    if p is None:
        verdict = "not enough evidence"
    elif p < LEVEL:
        verdict = "supports" if tested.tcav > 0.5 else "opposes"
    return Evidence(tested.tcav, tested.tcav_random, p, tested.scenes, verdict)
