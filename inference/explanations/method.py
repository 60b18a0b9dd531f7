"""The seam of all methods: a subject and a target go in, a map comes out."""

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import ClassVar

from inference.explanations.map import Map
from inference.explanations.score import Score, score
from inference.explanations.subject import Subject
from inference.explanations.target import Kind, MethodCard, Target

Work = Generator[float, None, Map]
"""A method at work: it yields how much of it is done, in 0..1, about every 50 ms (a pass through
the encoder and back is not cut in two), so that captions come between; and returns the map."""


class Method(ABC):
    """A way to tell which places of a picture mattered."""

    name: ClassVar[str]
    """As requests name it: `gradcam`."""
    title: ClassVar[str]
    """For people: `Grad-CAM`."""
    paper: ClassVar[str]
    """Where it is defined: authors, title, venue, year."""
    cost: ClassVar[str]
    """In passes through the encoder and the decoder, for people."""
    unit: ClassVar[str]
    """Of the map's values."""
    kinds: ClassVar[frozenset[Kind]]
    """Kinds of targets that it can explain, see `Target`."""
    slow: ClassVar[bool] = False
    """Whether a map takes seconds: too long to explain every word of a caption unasked."""

    @classmethod
    def card(cls) -> MethodCard:
        """What the method says of itself."""
        return MethodCard(
            cls.name, cls.title, cls.paper, cls.cost, cls.unit, tuple(sorted(cls.kinds))
        )

    def explain(self, subject: Subject, target: Target) -> Work:
        """Compute the map.

        Raises:
            ValueError: If the method cannot explain such a target, or the caption has no such
                word, or the vocabulary or the tags no such text.
        """
        if target.kind not in self.kinds:
            raise ValueError(f"{self.title} cannot explain a {target.kind}")
        return self._work(subject, score(subject, target))

    @abstractmethod
    def _work(self, subject: Subject, score: Score) -> Work:
        """Compute the map of a target that the method can explain."""
