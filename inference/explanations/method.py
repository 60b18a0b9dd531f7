"""The base class of all explanation methods."""

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import replace
from typing import ClassVar

import numpy as np

from inference.captioning.model import Ability, CaptionModel
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.map import Map
from inference.explanations.score import Score, target_score
from inference.explanations.target import MethodCard, Target, TargetKind
from inference.progress import Progress

Work = Generator[float | Progress, None, Map]
"""A method's work: yields the share that is done, in 0..1, about every 50 ms, so that captions can
run in between (a pass through the encoder and back is not interrupted); returns the map. Slow work
yields a `RoughMap` now and then, the first within about 0.4 s."""


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
    needs: ClassVar[frozenset[Ability]] = frozenset()
    """What a captioner has to be able to do for it."""
    slow: ClassVar[bool] = False
    """Whether a map takes seconds, which is too long to explain every word of a caption."""

    @classmethod
    def card(cls) -> MethodCard:
        """Return the method's properties."""
        return MethodCard(
            cls.name, cls.title, cls.paper, cls.cost, cls.unit, tuple(sorted(cls.kinds))
        )

    def available(self, model: CaptionModel) -> bool:
        """Return whether the method can explain this captioner's captions."""
        return model.can(*self.needs)

    def card_for(self, model: CaptionModel) -> MethodCard:
        """Return the method's properties for a captioner that it can explain."""
        kinds = self.kinds if model.has_tags else self.kinds - {"tag"}
        return replace(self.card(), kinds=tuple(sorted(kinds)))

    def explain(self, subject: CaptionedImage, target: Target) -> Work:
        """Compute the map.

        Raises:
            ValueError: If the method cannot explain this captioner or this kind of target, the
                caption has no such word, or the vocabulary or the tags have no such text.
        """
        if not self.available(subject.model):
            raise ValueError(f"{self.title} cannot explain this captioner")
        if target.kind not in self.kinds:
            raise ValueError(f"{self.title} cannot explain a {target.kind}")
        return self._work(subject, target_score(subject, target))

    @abstractmethod
    def _work(self, subject: CaptionedImage, score: Score) -> Work:
        """Compute the map of a target that the method can explain."""


class LiveMethod(Method):
    """A method that some captioners compute in a way of their own, for all words at once.

    See `CaptionModel.token_maps`.
    """

    def available(self, model: CaptionModel) -> bool:  # noqa: D102
        return self.name in model.live_methods

    def _work(self, subject: CaptionedImage, score: Score) -> Work:
        yield 0.0
        signed = score.token_map(self.name)
        assert signed is not None, "tags have no maps of this kind"
        return Map(np.maximum(signed, 0))
