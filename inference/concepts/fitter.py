"""Find the concepts of words in training images, for the concept bank.

The method is ACE (`inference.concepts.discovery`), made efficient for many words: an image with
several of the words is segmented once.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.concepts.bank import BankConcept, FittedWord, measure_background
from inference.concepts.clustering import CLUSTER_COUNT, k_means, prune
from inference.concepts.patches import (
    PatchCache,
    concatenate,
    encoder_fingerprint,
    extract_patches,
)
from inference.concepts.survey import CaptionSurvey
from inference.concepts.tcav import concept_direction, logit_gradient, run_tcav
from inference.concepts.verdicts import TcavFigures, is_significant
from inference.progress import finish, scale_progress
from inference.significance import holm
from inference.webp import encode_webp
from models.datasets import Dataset

Array = NDArray[np.float32]

_MAX_CONCEPTS = 6
"""Concepts to keep for a word: those with the smallest p."""

_BACKGROUND_IMAGES = 100
"""Images that were chosen for no word: they define the usual activation of a concept."""

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
        """Choose the images of `words`, which are all words of the bank.

        Among a word's images, those that are segmented for an earlier word come first, then those
        whose captions contain more of the words.

        Raises:
            ValueError: If a word is in no caption.
        """
        self._model, self._dataset, self._survey = model, dataset, survey
        self._sizes, self._cache = sizes, cache
        self._encoder = encoder_fingerprint(model)
        word_tokens = {survey.vocabulary.index(word) for word in words}
        counts = [len(word_tokens.intersection(tokens)) for tokens in survey.tokens]
        order = sorted(range(len(counts)), key=lambda index: -counts[index])
        segmented: set[int] = set()
        self._images: dict[str, list[int]] = {}
        for word in words:
            matching = set(survey.indices_with(word))
            if not matching:
                raise ValueError(f"{word!r} is in no caption")
            own = [index for index in order if index in matching]
            own.sort(key=lambda index: index not in segmented)
            segmented.update(own[: sizes.segmented])
            self._images[word] = own

    def fit(self, word: str) -> Generator[float, None, tuple[FittedWord, list[BankConcept]]]:
        """Find the concepts of a word, one of those given.

        Yields:
            The share that is done, in 0..1.

        Returns:
            How they were found, and those that were shown to matter.

        Raises:
            models.datasets.DatasetError: If an image cannot be read.
        """
        own = self._images[word]
        chosen, tested = own[: self._sizes.segmented], own[: self._sizes.tested]
        parts = []
        for number, index in enumerate(chosen):
            yield 0.7 * number / len(chosen)
            pixels = self._pixels(index)
            work = extract_patches(self._model, pixels, number, self._cache, self._encoder)
            parts.append(finish(work))
        patches = concatenate(parts)
        yield 0.7
        gradients = np.stack([self._logit_gradient(index, word) for index in tested])
        yield 0.8
        clusters = finish(k_means(patches.activations, CLUSTER_COUNT, _SEED))
        members = [
            each.members
            for each in prune(clusters, patches.images, len(parts))
            if not each.drop_reason
        ]
        yield 0.85
        rng = np.random.default_rng(_SEED)
        testing = run_tcav(gradients, patches.activations, members, rng)
        tests = yield from scale_progress(0.85, 0.1, testing)
        corrected = holm([each.p for each in tests.results])
        order = sorted(range(len(members)), key=lambda index: tests.results[index].p)
        kept = [index for index in order if is_significant(corrected[index])][:_MAX_CONCEPTS]
        fitted = FittedWord(
            images=len(parts),
            scenes=len(gradients),
            tests=len(members),
            false_positives=tests.false_positives,
        )
        if not kept:
            return fitted, []
        figures = [replace(tests.results[index], p=corrected[index]) for index in kept]
        vectors = [concept_direction(patches.activations, members[index]) for index in kept]
        return fitted, self._bank_concepts(word, np.stack(vectors), figures)

    def _bank_concepts(
        self, word: str, vectors: Array, figures: Sequence[TcavFigures]
    ) -> list[BankConcept]:
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
                effect=each.effect,
                p=each.p,
                scenes=each.scenes,
                picture=encode_webp(images[index]),
            )
            for index, each in enumerate(figures)
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
    def _background_grids(self) -> Array:
        """Of the survey's last images, whatever their captions: its order is random."""
        last = range(len(self._survey.names))[-_BACKGROUND_IMAGES:]
        return np.concatenate(
            [
                self._model.cells(self._model.encode_pixels(self._pixels(index)[None]))
                for index in last
            ]
        )
