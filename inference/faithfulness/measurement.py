"""Measure an image: each metric for the words of its caption, by method and baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.explanations import Target
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.method import Work
from inference.faithfulness.metrics import (
    CellGrid,
    CellOrder,
    area_under_curve,
    captions_when_blanked,
    centre_order,
    measure_curves,
    order_by_importance,
    random_order,
    word_disappeared,
)
from inference.progress import finish
from models.language import PAD
from models.word_kinds import WordKind, word_kind

RANDOM, CENTRE = "random", "centre"
"""The baselines."""

RANDOM_ORDERS = 5
"""The random baseline is the mean over this many orders."""


Part = Literal["choosing", "reporting", "all"]
"""Of a split's images: those on which methods are chosen and tuned, those on which they are
reported, or all."""

_PART_SEED = 0


class WordMaps(Protocol):
    """What explains words: a `Method`, or `inference.faithfulness.given_maps.GivenMaps`."""

    def explain(self, subject: CaptionedImage, target: Target) -> Work:
        """Compute the map of a word, whose values are not negative."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An image with its caption."""

    image: NDArray[np.uint8]
    """RGB, uint8 [side, side, 3], of the captioner's image size."""
    tokens: tuple[int, ...]
    """The caption's, with its end token unless it was cut."""
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MeasuredWord:
    """The measurements of one word."""

    text: str
    kind: WordKind
    prob: float
    """In the original image."""
    deletion: dict[str, list[float]]
    """p(word) at each of `curve_shares`, by method and baseline."""
    insertion: dict[str, list[float]]
    gone: dict[str, float]
    """How often the word disappears from the caption, in 0..1, by method and baseline; only for
    object words."""

    def deletion_area(self, name: str) -> float:
        """Return the area under the deletion curve of a method or baseline."""
        return float(area_under_curve(np.array(self.deletion[name])))

    def insertion_area(self, name: str) -> float:
        """Return the area under the insertion curve of a method or baseline."""
        return float(area_under_curve(np.array(self.insertion[name])))


@dataclass(frozen=True, slots=True)
class MeasuredImage:
    """The measurements of one image."""

    caption: str
    words: tuple[MeasuredWord, ...]


def cell_grid(model: CaptionModel) -> CellGrid:
    """Return the cells of the captioner's grid."""
    return CellGrid(*model.grid_size, model.image_size)


def caption_image(model: CaptionModel, image: NDArray[np.uint8]) -> Sample:
    """Caption an image of the captioner's size, at any confidence."""
    found = model.search(model.encode([image])).tokens[0]
    tokens = tuple(int(token) for token in found if token != PAD)
    return Sample(image, tokens, tuple(model.wording.texts(tokens)))


def images_of_part(count: int, part: Part) -> NDArray[np.intp]:
    """Draw the images of a part of a split of `count` images: indices, in a random order.

    The order is the same each time. The first half of it is for choosing between methods, and the
    second for reporting, so that no reported image took part in a choice.
    """
    order = np.random.default_rng(_PART_SEED).permutation(count)
    half = count // 2
    return {"choosing": order[:half], "reporting": order[half:], "all": order}[part]


def explain(subject: CaptionedImage, maps: WordMaps, index: int) -> NDArray[np.float64]:
    """Explain a word; return the map's value in each cell, [cells]."""
    explanation = finish(maps.explain(subject, Target("word", index)))
    return cell_grid(subject.model).resample(explanation)


def object_maps(model: CaptionModel, sample: Sample, maps: WordMaps) -> list[NDArray[np.float64]]:
    """Explain every object word of a caption with the captioner's current weights."""
    subject = CaptionedImage(model, sample.image, sample.tokens)
    return [
        explain(subject, maps, index)
        for index, word in enumerate(sample.words)
        if word_kind(word) == "object"
    ]


def measure(
    model: CaptionModel,
    sample: Sample,
    methods: Mapping[str, WordMaps],
    random: np.random.Generator,
) -> MeasuredImage:
    """Measure all object words, and one word of each other kind for comparison.

    Args:
        model: The captioner.
        sample: The image and its caption.
        methods: What explains the words, by name.
        random: Draws the random baseline, breaks ties, and chooses the words of other kinds.
    """
    cells = cell_grid(model)
    baseline_orders = {
        CENTRE: [centre_order(cells, random)],
        RANDOM: [random_order(cells, random) for _ in range(RANDOM_ORDERS)],
    }
    baselines = {
        name: _OrderEffects(model, sample, orders, cells)
        for name, orders in baseline_orders.items()
    }
    subject = CaptionedImage(model, sample.image, sample.tokens)
    words = []
    for index in _words_to_measure(sample.words, random):
        effects = dict(baselines)
        for name, maps in methods.items():
            order = order_by_importance(explain(subject, maps, index), random)
            effects[name] = _OrderEffects(model, sample, [order], cells)
        words.append(_measured_word(sample, index, effects))
    return MeasuredImage(" ".join(sample.words), tuple(words))


class _OrderEffects:
    """Effects on a caption of removing or showing cells, averaged over some orders."""

    def __init__(
        self,
        model: CaptionModel,
        sample: Sample,
        orders: Sequence[CellOrder],
        cells: CellGrid,
    ) -> None:
        curves = measure_curves(model, sample.image, sample.tokens, orders, cells)
        self.deletion = np.mean([each.deletion for each in curves], axis=0)
        self.insertion = np.mean([each.insertion for each in curves], axis=0)
        self._captions = captions_when_blanked(model, sample.image, orders, cells)

    def disappearance(self, word: str) -> float:
        """Return the share of the captions that no longer contain the word."""
        return float(np.mean([word_disappeared(word, caption) for caption in self._captions]))


def _words_to_measure(words: Sequence[str], random: np.random.Generator) -> list[int]:
    """Return the indices of all object words, and of one word of each other kind."""
    indices: dict[WordKind, list[int]] = {"object": [], "other": [], "function": []}
    for index, word in enumerate(words):
        indices[word_kind(word)].append(index)
    rest = [int(random.choice(indices[kind])) for kind in ("other", "function") if indices[kind]]
    return [*indices["object"], *rest]


def _measured_word(sample: Sample, index: int, effects: dict[str, _OrderEffects]) -> MeasuredWord:
    word = sample.words[index]
    kind = word_kind(word)
    return MeasuredWord(
        text=word,
        kind=kind,
        prob=_round(effects[RANDOM].deletion[0, index]),
        deletion={name: _points(each.deletion[:, index]) for name, each in effects.items()},
        insertion={name: _points(each.insertion[:, index]) for name, each in effects.items()},
        gone={name: each.disappearance(word) for name, each in effects.items()}
        if kind == "object"
        else {},
    )


def _points(curve: NDArray[np.float64]) -> list[float]:
    return [_round(value) for value in curve]


def _round(value: float) -> float:
    return round(float(value), 5)


def read_image(values: dict[str, Any]) -> MeasuredImage:
    """Read an image from a journal."""
    words = tuple(MeasuredWord(**word) for word in values["words"])
    return MeasuredImage(values["caption"], words)
