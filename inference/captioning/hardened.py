"""A model that was hardened against attacks, and its control, as they run beside a captioner."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.captioner import BeamCaption
from models.hardening import HardenedCard

Array = NDArray[np.float32]


class SecondModel(Protocol):
    """What is compared with the captioner, which is one itself; see `CaptionModel`."""

    def encode_pixels(self, pixels: NDArray[np.uint8 | np.float32], /) -> Array:
        """Encode images; see `CaptionModel.encode_pixels`."""

    def search(self, encodings: Array, beam_width: int | None = None) -> BeamCaption:
        """Find the best caption of each encoding; see `CaptionModel.search`."""

    def rescore(self, encodings: Array, captions: Sequence[Sequence[int]]) -> BeamCaption:
        """Compute the log-probabilities of given captions; see `CaptionModel.rescore`."""


@dataclass(frozen=True, slots=True)
class HardenedModels:
    """A model that was trained on attacked images, and one that was trained on noisy ones."""

    hardened: SecondModel
    control: SecondModel
    card: HardenedCard

    def by_chance(self, epsilon: float) -> float | None:
        """Return what `LostWords.by_chance` was for attacks of this size; None if not measured."""
        return next((each.by_chance for each in self.card.lost if each.epsilon == epsilon), None)

    @property
    def measured_on(self) -> int:
        """Number of images that it was measured on."""
        return self.card.reported
