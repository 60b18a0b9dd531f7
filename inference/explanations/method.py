"""The base class of all explanation methods."""

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import ClassVar

from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.map import Map
from inference.explanations.score import Score, target_score
from inference.explanations.target import MethodCard, Target, TargetKind

Work = Generator[float, None, Map]
"""A method's work: yields the share that is done, in 0..1, about every 50 ms, so that captions can
run in between (a pass through the encoder and back is not interrupted); returns the map."""


class Method(ABC):
    """A method that attributes a target's score to regions of the image."""

    name: ClassVar[str]
    """Identifier in requests, such as `gradcam`."""
    title: ClassVar[str]
    """Display name, such as `Grad-CAM`."""
    paper: ClassVar[str]
    """Where it is defined: authors, title, venue, year."""
    cost: ClassVar[str]
    """In passes through the encoder and the decoder, for people."""
    unit: ClassVar[str]
    """Unit of the map's values."""
    kinds: ClassVar[frozenset[TargetKind]]
    """Kinds of targets that it can explain."""
    slow: ClassVar[bool] = False
    """Whether a map takes seconds, which is too long to explain every word of a caption."""

    @classmethod
    def card(cls) -> MethodCard:
        """Return the method's properties."""
        return MethodCard(
            cls.name, cls.title, cls.paper, cls.cost, cls.unit, tuple(sorted(cls.kinds))
        )

    def explain(self, subject: CaptionedImage, target: Target) -> Work:
        """Compute the map.

        Raises:
            ValueError: If the method cannot explain this kind of target, the caption has no such
                word, or the vocabulary or the tags have no such text.
        """
        if target.kind not in self.kinds:
            raise ValueError(f"{self.title} cannot explain a {target.kind}")
        return self._work(subject, target_score(subject, target))

    @abstractmethod
    def _work(self, subject: CaptionedImage, score: Score) -> Work:
        """Compute the map of a target that the method can explain."""
