"""The data that a report is made from: a caption, its explanations and findings. Needs no Keras."""

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inference.adversarial import AdversarialFindings
from inference.captioning import Caption, Word
from inference.concepts import ConceptFindings
from inference.explanations import Check, Map, MethodCard, Target, Tile
from models.word_kinds import word_kind


class Captioner(Protocol):
    """The part of `models.checkpoint.ModelCard` that a report quotes; the class needs Keras."""

    @property
    def name(self) -> str:
        """Name of the captioner."""

    @property
    def licence(self) -> str:
        """Licence of its weights."""

    @property
    def data(self) -> str:
        """Dataset that it was trained on."""


@dataclass(frozen=True, slots=True, eq=False)
class PaintedMaps:
    """The maps of one method, painted on the image."""

    title: str
    notes: tuple[str, ...]
    """Paper that defines the method, and how to read the maps."""
    unit: str
    """Of the maps' values."""
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """An image, its caption, and the findings about it."""

    name: str
    """File name of the image; empty if it has none."""
    image: NDArray[np.uint8]
    """RGB, uint8 [H, W, 3]."""
    captioner: Captioner
    caption: Caption
    adversarial: AdversarialFindings | None
    concepts: ConceptFindings | None
    maps: tuple[PaintedMaps, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return everything but the images as JSON values.

        Returns:
            - `image`: `file`, `width`, `height`.
            - `captioner`: `name`, `licence` and `data` of the model card.
            - `caption`: `text`, `confidence`, `fallback`, `guess`, `runner_up` and `instead_of`;
              see `Caption`.
            - `adversarial`: see `AdversarialFindings.to_json`; null without.
            - `ace`: see `ConceptFindings.to_json`; null without.
        """
        height, width = self.image.shape[:2]
        return {
            "image": {"file": self.name, "width": width, "height": height},
            "captioner": {
                "name": self.captioner.name,
                "licence": self.captioner.licence,
                "data": self.captioner.data,
            },
            "caption": {
                "text": self.caption.text,
                "confidence": self.caption.confidence,
                "fallback": self.caption.fallback,
                "guess": self.caption.guess,
                "runner_up": self.caption.runner_up,
                "instead_of": self.caption.instead_of,
            },
            "adversarial": self.adversarial and self.adversarial.to_json(),
            "ace": self.concepts and self.concepts.to_json(),
        }


def method_file(name: str) -> str:
    """Return the file name of a method's sheet of maps."""
    return f"{name}.png"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One map."""

    target: Target
    title: str
    """The word or the tag, or "whole caption"."""
    map: Map


@dataclass(frozen=True, slots=True)
class MethodMaps:
    """The maps of one method."""

    method: MethodCard
    explanations: tuple[Explanation, ...]
    took_ms: float


@dataclass(frozen=True, slots=True)
class Contents:
    """The caption of an image and its explanations."""

    image: NDArray[np.uint8]
    """RGB, uint8 [H, W, 3]."""
    card: Captioner
    caption: Caption
    """As shown: with low confidence, only the likely part."""
    words: tuple[Word, ...]
    """Of the whole caption, whatever its confidence."""
    tokens: tuple[int, ...]
    """Of these words and the end token."""
    methods: tuple[MethodMaps, ...]
    checks: dict[int, Check]
    """For object words by index: whether their maps hold up, see `check_map`; corrected for their
    number."""
    checked_by: str | None
    """Name of the method whose maps are checked; None if none of them explains words."""
    checks_ms: float

    def to_json(self, *, has_sheets: bool = True) -> dict[str, Any]:
        """Return what the JSON file has beyond `Document.to_json`, as JSON values.

        Args:
            has_sheets: Whether each method's maps are in a `file` beside it too.

        Returns:
            - `words` of the whole caption: `text`, `prob` (of being the next word), `confidence`
              (that people say it or a synonym; null for function words), `kind` (object, function
              or other),
              `alternatives` (`text`, `prob`) and `check`, null except for objects: `share` of the
              image that was blanked, p(word) before (`prob`), after (`blanked`), and after the
              same region elsewhere was blanked (`elsewhere`: lowest, median, highest), the number
              of these `regions` and of all `places`, the p-values of the test (`p`, `p_fails`),
              corrected for the number of words, and its `verdict`, see `Check`.
            - `tags`: `text`, `prob`.
            - `checked_by`: the method whose maps chose what to blank.
            - `methods`: `name`, `title`, `paper`, `cost`, `unit`, the `file` with its maps,
              `took_ms`, and `maps`: `of` (`kind` word, caption or tag, `index`, `text`), `shape`,
              `data` (base64 of one byte per cell, row by row, 255 at the peak), `peak` (in the
              method's unit), `peak_at` (`x` and `y` of that cell's centre, 0..1 from the top
              left) and, for some, `note`: what is to be known about this map.
            - `timing_ms`: `encoder`, `decoder`, `explanations`, `checks`.
        """
        caption = self.caption
        return {
            "words": [
                {
                    **asdict(word),
                    "kind": word_kind(word.text),
                    "check": self.checks[index].to_json() if index in self.checks else None,
                }
                for index, word in enumerate(self.words)
            ],
            "tags": [asdict(tag) for tag in caption.tags],
            "checked_by": self.checked_by,
            "methods": [_method_json(each, has_sheets=has_sheets) for each in self.methods],
            "timing_ms": {
                "encoder": round(caption.timing_ms.encoder, 1),
                "decoder": round(caption.timing_ms.decoder, 1),
                "explanations": round(sum(each.took_ms for each in self.methods), 1),
                "checks": round(self.checks_ms, 1),
            },
        }


@dataclass(frozen=True, slots=True)
class Analyses:
    """Findings of the long analyses; None for those that were not run."""

    adversarial: AdversarialFindings | None = None
    concepts: ConceptFindings | None = None


def _method_json(maps: MethodMaps, *, has_sheets: bool) -> dict[str, Any]:
    method = maps.method
    return {
        "name": method.name,
        "title": method.title,
        "paper": method.paper,
        "cost": method.cost,
        "unit": method.unit,
        **({"file": method_file(method.name)} if has_sheets else {}),
        "took_ms": round(maps.took_ms, 1),
        "maps": [
            {"of": each.target.to_json(), **each.map.to_json(), "peak_at": _peak_at(each.map)}
            for each in maps.explanations
        ],
    }


def _peak_at(explanation: Map) -> dict[str, float]:
    rows, columns = explanation.values.shape
    row, column = divmod(int(explanation.values.argmax()), columns)
    return {"x": round((column + 0.5) / columns, 4), "y": round((row + 0.5) / rows, 4)}
