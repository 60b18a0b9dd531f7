"""What a report is made from."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inference.adversarial import AdversarialFindings
from inference.captioning import Caption
from inference.concepts import ConceptFindings
from inference.report.methods_part import Maps


class Captioner(Protocol):
    """What a report says of the captioner: part of `models.checkpoint.Card`, which needs Keras."""

    @property
    def name(self) -> str:
        """The captioner's."""

    @property
    def licence(self) -> str:
        """Of its weights."""

    @property
    def data(self) -> str:
        """What it was trained on."""


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A picture, its caption, and what is known of it."""

    name: str
    """The picture's file; empty if it has none."""
    picture: NDArray[np.uint8]
    """RGB, uint8 [H, W, 3]."""
    captioner: Captioner
    caption: Caption
    adversarial: AdversarialFindings | None
    concepts: ConceptFindings | None
    methods: tuple[Maps, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return all but the pictures as JSON values.

        Returns:
            - `image`: `file`, `width`, `height`.
            - `captioner`: `name`, `licence` and `data` of the model card.
            - `caption`: `text`, `confidence`, `fallback` and `guess` as in
              `inference.captioning.caption`.
            - `adversarial`: see `AdversarialFindings.to_json`; null without.
            - `ace`: see `ConceptFindings.to_json`; null without.
        """
        height, width = self.picture.shape[:2]
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
