"""The data that a report is made from."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inference.adversarial import AdversarialFindings
from inference.captioning import Caption
from inference.concepts import ConceptFindings
from inference.explanations import Tile


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
            - `caption`: `text`, `confidence`, `fallback` and `guess`, see `Caption`.
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
            },
            "adversarial": self.adversarial and self.adversarial.to_json(),
            "ace": self.concepts and self.concepts.to_json(),
        }
