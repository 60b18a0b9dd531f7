"""Scores of maps from Python: the maps of functions beside those of the captioner's methods."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from inference import Captioner
from inference.api import ImageInput
from inference.api.images import to_array
from inference.explanations.methods import available_methods
from inference.faithfulness.given_maps import GivenMaps, MapFunction
from inference.faithfulness.measurement import MeasuredImage, WordMaps, caption_image, measure
from inference.faithfulness.report import score_lines
from inference.faithfulness.summary import BASELINES, ScoreSummary, mean_curves, summarise
from models.word_kinds import WordKind

_SEED = 0
"""As on the command line."""


@dataclass(frozen=True, slots=True)
class MapScores:
    """The scores of maps; `str` returns them as Markdown tables."""

    images: tuple[MeasuredImage, ...]
    """What was measured, word by word."""

    def summary(self, kind: WordKind = "object") -> dict[str, dict[str, ScoreSummary]]:
        """Summarise the words of a kind: by score, and by method, function or baseline.

        Args:
            kind: `object`, `function` or `other`: what the words are.

        Returns:
            For `deletion` and `insertion` (areas under the curves) and, for objects,
            `disappearance` (how often the word is gone): the mean over images with its 95 %
            bootstrap interval, and the differences to each baseline with theirs. Empty if there
            are no such words.
        """
        return summarise(self.images, kind)

    def curves(self, kind: WordKind = "object") -> dict[str, dict[str, list[float]]]:
        """Return the mean p(word) at each step: by `deletion` and `insertion`, then by name."""
        return mean_curves(self.images, kind)

    def to_json(self) -> dict[str, Any]:
        """Return the measurements as JSON values, as `pictures` of the command's report."""
        return {"pictures": [asdict(image) for image in self.images]}

    def __str__(self) -> str:
        return "\n".join(score_lines(self.images))

    def _repr_markdown_(self) -> str:
        return str(self)


def score_maps(
    captioner: Captioner,
    images: Iterable[ImageInput],
    maps: Mapping[str, MapFunction] | MapFunction,
    *,
    methods: Sequence[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> MapScores:
    """Measure how faithful maps are, as `python -m inference.faithfulness` does.

    Each image is captioned, and every object word of the caption and one word of each other kind is
    explained: by each function, by methods of the captioner, and by the baselines `random` and
    `centre`. The same images give the same scores. An image takes about a second for each word and
    each function or method.

    Args:
        captioner: Captions the images, and is what the maps are to be faithful to. Other threads
            must not use it meanwhile.
        images: Arrays RGB, uint8 [H, W, 3], images of Pillow or paths, at least one. Intervals are
            too narrow to trust below 20.
        maps: Functions by name, or one function, which is called by its own name. Called with an
            image, RGB, uint8 [S, S, 3] of the captioner's size; if it requires two arguments, with
            the image and the word; if three, with the image, its caption and the word. Returns an
            array [rows, columns] of any size, larger where the region mattered more; negative
            values count as 0.
        methods: Names of methods of the captioner to compare with, see `Captioner.methods`; by
            default that of its live maps.
        progress: Called with the number of images that are done.

    Raises:
        ValueError: If there is no image, a name is that of a method or baseline, a method cannot
            explain words, or a function fails or returns no map.
    """
    model = captioner.model
    explaining = _methods(captioner, methods)
    for name, function in _named(maps).items():
        if name in explaining or name in BASELINES:
            raise ValueError(f"{name!r} is the name of a method or baseline; choose another name")
        explaining[name] = GivenMaps(function, name)
    measured: list[MeasuredImage] = []
    for index, image in enumerate(images):
        sample = caption_image(model, model.preprocess(to_array(image)))
        random = np.random.default_rng((_SEED, index))
        measured.append(measure(model, sample, explaining, random))
        if progress:
            progress(index + 1)
    if not measured:
        raise ValueError("there are no images to measure maps on")
    return MapScores(tuple(measured))


def _named(maps: Mapping[str, MapFunction] | MapFunction) -> Mapping[str, MapFunction]:
    if isinstance(maps, Mapping):
        return maps
    return {getattr(maps, "__name__", type(maps).__name__): maps}


def _methods(captioner: Captioner, names: Sequence[str] | None) -> dict[str, WordMaps]:
    """Return methods that explain words, by name.

    Raises:
        ValueError: If one does not, or cannot explain this captioner.
    """
    offered = {
        name: method
        for name, method in available_methods(captioner.model).items()
        if "word" in method.kinds
    }
    chosen: dict[str, WordMaps] = {}
    for name in [captioner.model.live_method] if names is None else names:
        if name not in offered:
            raise ValueError(
                f"there is no method {name!r} that explains words; the methods are "
                f"{', '.join(offered)}"
            )
        chosen[name] = offered[name]
    return chosen
