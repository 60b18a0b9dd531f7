"""Find the concepts of words in training images, for the concept bank.

The method is ACE (`inference.concepts.discovery`), made efficient for many words: an image with
several of the words is segmented once, and all concepts share the same random patches.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.concepts.bank import BankConcept, FittedWord, encode_webp, measure_background
from inference.concepts.clustering import CLUSTER_COUNT, k_means, prune
from inference.concepts.patches import (
    PatchCache,
    concatenate,
    encoder_fingerprint,
    extract_patches,
    random_patches,
)
from inference.concepts.survey import CaptionSurvey
from inference.concepts.tcav import (
    MIN_ACCURACY,
    Covariance,
    RandomSets,
    TcavResult,
    logit_gradient,
    make_random_sets,
    run_tcav,
)
from inference.progress import finish
from models.datasets import Dataset

Array = NDArray[np.float32]

_MAX_CONCEPTS = 6
"""Concepts to keep for a word: those with the smallest p, corrected for all that were tested."""

_RANDOM_CONCEPTS = 19_999
"""Enough to correct for hundreds of tests."""

_BACKGROUND_IMAGES = 100
"""Images that were chosen for no word: they define the usual activation of a concept."""

_RANDOM_IMAGES, _RANDOM_PATCHES = 30, 600

_SEED = 0


@dataclass(frozen=True, slots=True)
class FitSizes:
    """How many images are used for each word."""

    segmented: int
    """Images that are segmented."""
    tested: int
    """Images over which the word's logit is tested; each is a scene."""


class BankFitter:
    """Finds concepts of words in the images of a survey."""

    def __init__(
        self,
        model: CaptionModel,
        dataset: Dataset,
        survey: CaptionSurvey,
        words: Sequence[str],
        sizes: FitSizes,
        cache: PatchCache,
    ) -> None:
        """Prepare; `words` are all words that will be fitted.

        Among a word's images, those that are already segmented for another word come first, then
        those whose captions contain more of the words.
        """
        self._model, self._dataset, self._survey = model, dataset, survey
        self._sizes, self._cache = sizes, cache
        self._encoder = encoder_fingerprint(model)
        word_tokens = {survey.vocabulary.index(word) for word in words}
        counts = [len(word_tokens.intersection(tokens)) for tokens in survey.tokens]
        self._order = sorted(range(len(counts)), key=lambda index: -counts[index])
        self._segmented: set[int] = set()

    def fit(self, word: str) -> Generator[float, None, tuple[FittedWord, list[BankConcept]]]:
        """Find the concepts of a word.

        Yields:
            The share that is done, in 0..1.

        Raises:
            ValueError: If no caption contains the word.
            models.datasets.DatasetError: If an image cannot be read.
        """
        matching = set(self._survey.indices_with(word))
        if not matching:
            raise ValueError(f"{word!r} is in no caption")
        own = [index for index in self._order if index in matching]
        own.sort(key=lambda index: index not in self._segmented)
        chosen = own[: self._sizes.segmented]
        parts = []
        for number, index in enumerate(chosen):
            yield 0.7 * number / len(chosen)
            pixels = self._pixels(index)
            work = extract_patches(self._model, pixels, number, self._cache, self._encoder)
            parts.append(finish(work))
        self._segmented.update(chosen)
        patches = concatenate(parts)
        yield 0.7
        tested = own[: self._sizes.tested]
        gradients = np.stack([self._logit_gradient(index, word) for index in tested])
        yield 0.8
        clusters = finish(k_means(patches.activations, CLUSTER_COUNT, _SEED))
        yield 0.85
        members = [
            patches.activations[each.members]
            for each in prune(clusters, patches.images, len(parts))
            if not each.drop_reason
        ]
        results = [self._run_tcav(gradients, each) for each in members]
        accurate = [each for each in results if each.cavs.accuracy >= MIN_ACCURACY]
        accurate.sort(key=lambda each: each.p)
        yield 0.95
        fitted = FittedWord(
            images=len(parts),
            scenes=len(gradients),
            rejected_p=[each.p for each in accurate[_MAX_CONCEPTS:]],
        )
        return fitted, self._bank_concepts(word, accurate[:_MAX_CONCEPTS]) if accurate else []

    def _run_tcav(self, gradients: Array, concept: Array) -> TcavResult:
        sets, others = self._random
        rng = np.random.default_rng(_SEED)
        return finish(run_tcav(gradients, concept, others, sets, rng, _RANDOM_CONCEPTS))

    def _bank_concepts(self, word: str, results: Sequence[TcavResult]) -> list[BankConcept]:
        vectors = np.stack([each.cavs.direction for each in results])
        directions = measure_background(vectors, self._background_grids)
        images = self._model.visualise(directions.vectors, _SEED)
        return [
            BankConcept(
                word=word,
                number=index + 1,
                direction=directions.vectors[index],
                mean=float(directions.means[index]),
                deviation=float(directions.deviations[index]),
                tcav=each.tcav,
                tcav_random=each.tcav_random,
                p=each.p,
                accuracy=each.cavs.accuracy,
                scenes=each.scenes,
                picture=encode_webp(images[index]),
            )
            for index, each in enumerate(results)
        ]

    def _logit_gradient(self, index: int, word: str) -> Array:
        tokens = self._survey.tokens[index]
        grid = self._model.encode_pixels(self._pixels(index)[None])[0]
        place = tokens.index(self._survey.vocabulary.index(word))
        return logit_gradient(self._model, grid, tokens, place)

    def _pixels(self, index: int) -> NDArray[np.uint8]:
        image = self._dataset.image(self._survey.names[index])
        return self._model.preprocess(image)

    @cached_property
    def _background_images(self) -> list[NDArray[np.uint8]]:
        """The survey's last images, whatever their captions: its order is random."""
        last = range(len(self._survey.names))[-_BACKGROUND_IMAGES:]
        return [self._pixels(index) for index in last]

    @cached_property
    def _background_grids(self) -> Array:
        return np.concatenate(
            [
                self._model.cells(self._model.encode_pixels(each[None]))
                for each in self._background_images
            ]
        )

    @cached_property
    def _random(self) -> tuple[RandomSets, Array]:
        """Random sets, and as many random patches that are in none."""
        rng = np.random.default_rng(_SEED)
        images = self._background_images[:_RANDOM_IMAGES]
        drawn = finish(random_patches(self._model, images, _RANDOM_PATCHES, rng))
        half = len(drawn) // 2
        means = make_random_sets(drawn[:half]).means
        return RandomSets(means, _unit_covariance(drawn.shape[1])), drawn[half:]


def _unit_covariance(channels: int) -> Covariance:
    """Return the covariance of independent channels of equal variance.

    With it, directions are differences of means, which show where the concept is. Weights that undo
    the correlations between channels separate the concept best, but point along channels that
    hardly vary (Haufe et al., On the interpretation of weight vectors of linear models in
    multivariate neuroimaging, NeuroImage 2014): along them, dogs' heads opposed "dog".
    """
    return Covariance(np.zeros((1, channels), np.float32), np.zeros((1, 1), np.float32), 1.0)
