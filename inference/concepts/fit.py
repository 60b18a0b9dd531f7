"""What a captioner says of training pictures: which words it really uses, and of which pictures.

Find the concepts of words in training pictures, for the bank.

As ACE does (`inference.concepts.discovery`), but for many words: pictures that say several of them
are cut once, and all concepts are told from the same random patches.
"""

import json
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.concepts.bank import (
    ENOUGH_SCENES,
    BankConcept,
    FittedWord,
    background,
    encoded_picture,
)
from inference.concepts.clustering import CLUSTERS, k_means, prune
from inference.concepts.patches import PatchCache, fingerprint, gathered, patches_of, random_patches
from inference.concepts.tcav import (
    SEPARATES,
    Covariance,
    RandomSets,
    Tested,
    examine,
    random_sets,
    slope,
)
from inference.concepts.visualisation import Drawing
from inference.progress import finish
from inference.word_kinds import word_kind
from models.datasets import Dataset
from models.language import PAD, SPECIAL_WORDS
from models.language.content_words import content_words
from models.preprocessing import squeeze

Tokens = tuple[int, ...]

Array = NDArray[np.float32]

_KEPT = 6
"""Concepts of a word at most: those of the smallest p, corrected for all that were tested."""

_DRAWS = 19_999
"""So that hundreds of tests can be corrected for."""

_OTHERS = 100
"""Pictures that were chosen for no word: how much of a concept there is in them is usual."""

_RANDOM_PICTURES, _RANDOM_PATCHES = 30, 600

_SEED = 0

Fitted = tuple[FittedWord, list[BankConcept]]


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """Pictures with what is said of them."""

    names: tuple[str, ...]
    """Of the data set's pictures, in an order that was drawn."""
    tokens: tuple[Tokens, ...]
    """Of each one's caption, with its end if it was not cut."""
    vocabulary: tuple[str, ...]

    def counts(self) -> Counter[str]:
        """In how many captions each word of content is said, whatever their number."""
        return Counter(
            word
            for tokens in self.tokens
            for word in {self.vocabulary[token] for token in tokens}
            if word not in SPECIAL_WORDS and content_words(word)
        )

    def saying(self, word: str) -> list[int]:
        """Places of the pictures whose captions say the word."""
        token = self.vocabulary.index(word)
        return [place for place, tokens in enumerate(self.tokens) if token in tokens]


def survey(
    model: CaptionModel, dataset: Dataset, names: Sequence[str], kept: Path | None
) -> Iterator[Tokens]:
    """Caption pictures one by one.

    Args:
        model: The captioner.
        dataset: Where the pictures are.
        names: Theirs.
        kept: A file to go on with, of the same captioner, and to keep captions in; one a line.

    Yields:
        The tokens of each caption, in the order of the names.

    Raises:
        models.datasets.DatasetError: If a picture cannot be read.
        OSError: If the file cannot be read or written.
    """
    known = _read(kept) if kept else {}
    for name in names:
        if name not in known:
            known[name] = caption(model, squeeze(dataset.image(name), model.image_size))
            if kept:
                with kept.open("a", encoding="utf-8") as file:
                    file.write(f"{json.dumps([name, known[name]])}\n")
        yield known[name]


def caption(model: CaptionModel, pixels: NDArray[np.uint8]) -> Tokens:
    """Caption a picture, sure or not: its tokens, without padding."""
    tokens = model.search(model.encode([pixels])).tokens[0]
    return tuple(int(token) for token in tokens[tokens != PAD])


def choose_words(counts: Counter[str], count: int) -> list[str]:
    """Choose the words to fit: those said of enough pictures, words for things before others.

    Args:
        counts: Of `Survey.counts`.
        count: Words at most.

    Returns:
        The most frequent ones; as many as there are.
    """
    enough = [word for word, said in counts.items() if said >= ENOUGH_SCENES]
    enough.sort(key=lambda word: (word_kind(word) != "object", -counts[word], word))
    return enough[:count]


def _read(kept: Path) -> dict[str, Tokens]:
    if not kept.is_file():
        return {}
    lines = kept.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):  # It was cut off.
        kept.write_text("".join(lines[:-1]), encoding="utf-8")
    whole = [json.loads(line) for line in lines if line.endswith("\n")]
    return {name: tuple(tokens) for name, tokens in whole}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is looked at for a word."""

    cut: int
    """Pictures that are cut into segments."""
    scenes: int
    """Pictures over which the word's logit is tested; each is a scene."""


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
