"""Find the concepts of words in training pictures, for the bank.

As ACE does (`inference.concepts.discovery`), but for many words: pictures that say several of them
are cut once, and all concepts are told from the same random patches.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inference.captioning import CaptionModel
from inference.concepts.bank import BankConcept, FittedWord, encoded_picture
from inference.concepts.cavs import Covariance, RandomSets, random_sets
from inference.concepts.clustering import CLUSTERS, k_means
from inference.concepts.patch_cache import PatchCache
from inference.concepts.patches import fingerprint, gathered, patches_of
from inference.concepts.pictures import Drawing
from inference.concepts.pruning import prune
from inference.concepts.sampling import random_patches
from inference.concepts.scoring import background
from inference.concepts.sensitivity import slope
from inference.concepts.statistics import SEPARATES, Tested, examine
from inference.concepts.survey import Survey
from inference.step import finish
from models.datasets import Dataset
from models.pictures import squeeze

Array = NDArray[np.float32]

_KEPT = 6
"""Concepts of a word at most: those of the smallest p, corrected for all that were tested."""
_DRAWS = 19_999
"""So that hundreds of tests can be corrected for."""
_OTHERS = 100
"""Pictures that were chosen for no word: how much of a concept there is in them is usual."""
_RANDOM_PICTURES, _RANDOM_PATCHES = 30, 600
_SEED = 0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is looked at for a word."""

    cut: int
    """Pictures that are cut into segments."""
    scenes: int
    """Pictures over which the word's logit is tested; each is a scene."""


Fitted = tuple[FittedWord, list[BankConcept]]


class Fitting:
    """Finds concepts in the pictures of a survey."""

    def __init__(
        self,
        model: CaptionModel,
        dataset: Dataset,
        survey: Survey,
        words: Sequence[str],
        sizes: Sizes,
        cache: PatchCache,
    ) -> None:
        """Take the material; `words` are all that are to be fitted.

        Of a word's pictures those come first that were cut for another already, then those that say
        more of the words.
        """
        self._model, self._dataset, self._survey = model, dataset, survey
        self._sizes, self._cache = sizes, cache
        self._encoder = fingerprint(model)
        wanted = {survey.vocabulary.index(word) for word in words}
        serves = [len(wanted.intersection(tokens)) for tokens in survey.tokens]
        self._cut: set[int] = set()
        self._order = sorted(range(len(serves)), key=lambda place: -serves[place])

    def fit(self, word: str) -> Generator[float, None, Fitted]:
        """Find the concepts of a word.

        Yields:
            How much is done, in 0..1.

        Raises:
            ValueError: If no picture says the word.
            models.datasets.DatasetError: If a picture cannot be read.
        """
        said = set(self._survey.saying(word))
        if not said:
            raise ValueError(f"the captioner says {word!r} of no picture")
        own = [place for place in self._order if place in said]
        own.sort(key=lambda place: place not in self._cut)
        cut = own[: self._sizes.cut]
        parts = []
        for number, place in enumerate(cut):
            yield 0.7 * number / len(cut)
            work = patches_of(self._model, self._pixels(place), number, self._cache, self._encoder)
            parts.append(finish(work))
        self._cut.update(cut)
        patches = gathered(parts)
        yield 0.7
        slopes = np.stack([self._slope(place, word) for place in own[: self._sizes.scenes]])
        yield 0.8
        clusters = finish(k_means(patches.activations, CLUSTERS, _SEED))
        yield 0.85
        members = [
            patches.activations[each.members]
            for each in prune(clusters, patches.pictures, len(parts))
            if not each.dropped
        ]
        found = [self._examine(slopes, each) for each in members]
        told = [each for each in found if each.cavs.accuracy >= SEPARATES]
        told.sort(key=lambda each: each.p)
        yield 0.95
        about = FittedWord(
            pictures=len(parts),
            scenes=len(slopes),
            others=[each.p for each in told[_KEPT:]],
        )
        return about, self._concepts(word, told[:_KEPT]) if told else []

    def _examine(self, slopes: Array, concept: Array) -> Tested:
        sets, others = self._random
        rng = np.random.default_rng(_SEED)
        return finish(examine(slopes, concept, others, sets, rng, _DRAWS))

    def _concepts(self, word: str, told: Sequence[Tested]) -> list[BankConcept]:
        known = background(np.stack([each.cavs.direction for each in told]), self._others)
        drawn = self._drawing.draw(known.vectors, _SEED)
        return [
            BankConcept(
                word=word,
                number=place + 1,
                direction=known.vectors[place],
                mean=float(known.means[place]),
                deviation=float(known.deviations[place]),
                tcav=each.tcav,
                tcav_random=each.tcav_random,
                p=each.p,
                accuracy=each.cavs.accuracy,
                scenes=each.scenes,
                picture=encoded_picture(drawn[place]),
            )
            for place, each in enumerate(told)
        ]

    def _slope(self, place: int, word: str) -> Array:
        tokens = self._survey.tokens[place]
        grid = self._model.encode_pixels(self._pixels(place)[None])[0]
        index = tokens.index(self._survey.vocabulary.index(word))
        return slope(self._model, grid, tokens, index)

    def _pixels(self, place: int) -> NDArray[np.uint8]:
        image = self._dataset.image(self._survey.names[place])
        return squeeze(image, self._model.image_size)

    @cached_property
    def _drawing(self) -> Drawing:
        return Drawing(self._model.captioner)

    @cached_property
    def _chosen_for_none(self) -> list[NDArray[np.uint8]]:
        """The survey's last pictures, whatever they say: it is in an order that was drawn."""
        last = range(len(self._survey.names))[-_OTHERS:]
        return [self._pixels(place) for place in last]

    @cached_property
    def _others(self) -> Array:
        return np.concatenate(
            [self._model.encode_pixels(each[None]) for each in self._chosen_for_none]
        )

    @cached_property
    def _random(self) -> tuple[RandomSets, Array]:
        """Random sets, and as many random patches that are in none."""
        rng = np.random.default_rng(_SEED)
        pictures = self._chosen_for_none[:_RANDOM_PICTURES]
        drawn = finish(random_patches(self._model, pictures, _RANDOM_PATCHES, rng))
        half = len(drawn) // 2
        means = random_sets(drawn[:half]).means
        return RandomSets(means, _unit_covariance(drawn.shape[1])), drawn[half:]


def _unit_covariance(channels: int) -> Covariance:
    """Of channels as if each varied alike, by itself, so that directions are differences of means.

    Such patterns tell where the concept is; weights that undo the channels' correlations, which
    tell it from all else, point along channels that hardly vary (Haufe et al., On the
    interpretation of weight vectors of linear models in multivariate neuroimaging, NeuroImage
    2014): along them, dogs' heads spoke against "dog".
    """
    return Covariance(np.zeros((1, channels), np.float32), np.zeros((1, 1), np.float32), 1.0)
