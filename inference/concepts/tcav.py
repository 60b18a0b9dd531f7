"""TCAV: test whether a word's logit depends on a concept more than on random ones.

A concept is a set of patches. Its direction leads from the mean of all patches of the images in
which it was found to the mean of its own, and shows where the concept is. Weights that undo the
correlations between channels would separate its patches better, but point along channels that
hardly vary (Haufe et al., On the interpretation of weight vectors of linear models in multivariate
neuroimaging, NeuroImage 2014; Pahde et al., Navigating Neural Space, ICLR 2025).

Kim et al., ICML 2018, test over random sets, which share the concept's patches and so are not
independent samples of it. Here two questions are tested:

- Does the logit change more along the concept's direction than along those of random concepts? The
  statistic is the mean derivative over the scenes. A random concept is a set of as many patches of
  the same images, so that it has their covariance. All directions have length 1, because the mean
  of similar patches is several times farther from the mean of all than that of random ones: the
  derivative along it would be larger for its length alone. If a concept's patches are a random set,
  the p-value is exact (a permutation test; Phipson and Smyth, Permutation P-values Should Never Be
  Zero, 2010).
- Does the share of scenes with a positive derivative, the TCAV score, differ from a half by more
  than chance (sign test, with the scenes as samples)? The score alone is often 0 or 1 for random
  concepts too, because the gradients of scenes resemble each other.

The reported p is the larger of the two, which keeps the significance level of both. Shapes: S
scenes, P patches, N patches of a concept, D random concepts, C channels.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.stats import binom

from inference.captioning import SCENE_CUT_DISTANCE, Features
from inference.captioning.model import CaptionModel
from inference.concepts.findings import FalsePositives
from inference.concepts.verdicts import TcavFigures, count_false_positives
from inference.explanations.score import word_terms

Array = NDArray[np.float32]
Indices = NDArray[np.intp]

RANDOM_CONCEPTS = 49_999
"""With 25 tests of a word, the smallest p that is significant is estimated to a tenth."""

RANDOM_RUNS = 1000
"""The rate of false positives is measured to about 0.7 percentage points (standard error)."""

_BATCH = 200
_TINY = 1e-12
_TIE = 1e-6
"""Relative difference of effects that are equal but for rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class WordTests:
    """Tests of all concepts of a word."""

    results: tuple[TcavFigures, ...]
    false_positives: FalsePositives | None
    """Of the same tests with random concepts; None without runs."""


def concept_direction(activations: Array, members: Indices) -> Array:
    """Compute the direction of a concept.

    Args:
        activations: Of all patches of the images in which it was found, [P, C].
        members: Indices of the concept's patches.

    Returns:
        [C], of length 1; of length 0 if all patches are alike.
    """
    difference = activations[members].mean(axis=0) - activations.mean(axis=0)
    return np.asarray(difference / max(float(np.linalg.norm(difference)), _TINY), np.float32)


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
    activations: Array,
    concepts: Sequence[Indices],
    rng: np.random.Generator,
    random_concepts: int = RANDOM_CONCEPTS,
    random_runs: int = RANDOM_RUNS,
) -> Generator[float, None, WordTests]:
    """Test whether a word depends on concepts.

    Args:
        gradients: Of the word's logit in each scene, [S, C], at least one; see `logit_gradient`.
        activations: Of all patches of the images in which the concepts were found, [P, C].
        concepts: Indices of the patches of each concept.
        rng: Draws the random concepts.
        random_concepts: Number of random concepts that each concept is compared with.
        random_runs: Number of repetitions with random concepts in place of the concepts.

    Yields:
        The share that is done, in 0..1.

    Returns:
        The figures, whatever the number of scenes; see `verdicts`.
    """
    test = _Test(gradients, activations)
    sizes = sorted({len(each) for each in concepts})
    runs = random_runs * len(concepts)
    total = random_concepts + runs
    effects: dict[int, list[NDArray[np.float64]]] = {size: [] for size in sizes}
    for start in range(0, random_concepts if sizes else 0, _BATCH):
        yield start / total
        sets = test.draw(min(_BATCH, random_concepts - start), sizes[-1], rng)
        drawn = test.effects(sets)
        for size in sizes:
            effects[size].append(drawn[:, size - 1])
    null = {size: _Null(np.concatenate(effects[size])) for size in sizes}
    found: list[list[float]] = [[] for _ in range(random_runs)]
    for number, concept in enumerate(concepts):
        size = len(concept)
        for start in range(0, random_runs, _BATCH):
            yield (random_concepts + number * random_runs + start) / total
            sets = test.draw(min(_BATCH, random_runs - start), size, rng)
            for run, p in enumerate(test.p_values(sets, null[size]), start):
                found[run].append(float(p))
    return WordTests(
        tuple(test.figures(each, null[len(each)]) for each in concepts),
        count_false_positives(found),
    )


class _Null:
    """Effects of random concepts of one size."""

    def __init__(self, effects: NDArray[np.float64]) -> None:
        self._sizes = np.sort(np.abs(effects))
        self.typical = float(np.sqrt(np.mean(effects**2)))

    def p_values(self, effects: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of random concepts, the tested one included, of at least this effect."""
        below = np.searchsorted(self._sizes, np.abs(effects) * (1 - _TIE))
        return (1 + len(self._sizes) - below) / (1 + len(self._sizes))


class _Test:
    """Effects of sets of patches on a word's logit."""

    def __init__(self, gradients: Array, activations: Array) -> None:
        centred = activations - activations.mean(axis=0)
        self._gram = centred @ centred.T
        self._responses = centred @ gradients.T
        self._mean = self._responses.mean(axis=1, dtype=np.float64)
        scenes = gradients.shape[0]
        places = np.arange(scenes + 1)
        tail = binom.cdf(np.minimum(places, scenes - places), scenes, 0.5)
        self._sign_p = np.minimum(2 * tail, 1)

    def draw(self, count: int, size: int, rng: np.random.Generator) -> Indices:
        """Draw sets of different patches in random order: [count, size]."""
        keys = rng.random((count, len(self._mean)), np.float32)
        sets = np.argpartition(keys, size - 1, axis=1)[:, :size]
        return rng.permuted(sets, axis=1)

    def effects(self, sets: Indices) -> NDArray[np.float64]:
        """Compute the mean derivative along the direction of the first n patches of each set.

        Returns:
            [D, N], for n from 1 to N.
        """
        size = sets.shape[1]
        products = self._gram[sets[:, :, None], sets[:, None]]
        # The squared length grows by the products of a patch with itself and, twice, with those
        # before it.
        order = (2 * np.tri(size, k=-1) + np.eye(size)).astype(np.float32)
        growth = np.einsum("dij,ij->di", products, order)
        lengths = np.sqrt(np.maximum(growth.cumsum(axis=1), _TINY))
        return np.asarray(self._mean[sets].cumsum(axis=1) / lengths, np.float64)

    def shares(self, sets: Indices) -> NDArray[np.float64]:
        """Return the share of scenes with a positive derivative along each set's direction."""
        return np.asarray((self._responses[sets].sum(axis=1) > 0).mean(axis=1), np.float64)

    def p_values(self, sets: Indices, null: _Null) -> NDArray[np.float64]:
        """Compute the p of each set, [D]: 1 if the mean and most scenes differ in sign."""
        effects, shares = self.effects(sets)[:, -1], self.shares(sets)
        scenes = len(self._sign_p) - 1
        sign_p = self._sign_p[np.rint(shares * scenes).astype(np.intp)]
        agree = (effects > 0) == (shares > 0.5)
        return np.where(agree, np.maximum(null.p_values(effects), sign_p), 1.0)

    def figures(self, concept: Indices, null: _Null) -> TcavFigures:
        """Test a concept."""
        sets = concept[None]
        return TcavFigures(
            tcav=float(self.shares(sets)[0]),
            effect=float(self.effects(sets)[0, -1] / max(null.typical, _TINY)),
            p=float(self.p_values(sets, null)[0]),
            scenes=len(self._sign_p) - 1,
        )
