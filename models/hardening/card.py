"""What was measured of a hardened model and its control, on the development split.

Models are named `plain`, `hardened` and `control`.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import ConfigDict

Shares = dict[str, float]
"""A share in 0..1, or a score, by the model's name."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Effect of one change of the images on the captions of each model."""

    change: str
    """What was done: the name of a harmless change, or `pgd`."""
    changed: Shares
    """Share of the images whose caption changes."""
    cider: Shares
    """CIDEr of the captions of the changed images."""
    epsilon: float | None = None
    """An attack's epsilon in L-inf, in grey levels of 0..255."""
    attacked: str = ""
    """The model that the attack was made against."""
    rounded: Shares = field(default_factory=dict)
    """Share of the images whose caption changes when the attacked image is stored in whole grey
    levels."""


@dataclass(frozen=True, slots=True)
class LostWords:
    """Words that an attack on the plain model removes from its captions, and who keeps them."""

    epsilon: float
    """The attack's, in L-inf."""
    words: int
    """Words in the captions of the clean images."""
    lost: int
    """Of these, by the plain model under attack."""
    kept_hardened: int
    """Of the lost words, by the hardened model for the same attacked image."""
    kept_control: int
    fragile: int
    """Kept by the hardened model and not by the control."""
    reverse: int
    """Kept by the control and not by the hardened model. If attacks in training made no difference,
    `fragile` would be about the same."""

    @property
    def by_chance(self) -> float:
        """Share of the words called fragile that two models that differ by chance would give."""
        return min(1.0, self.reverse / self.fragile) if self.fragile else 1.0


@dataclass(frozen=True, slots=True)
class HardenedCard:
    """The model card of a hardened model and its control."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    data: str
    pictures: int
    """Number of training images, each attacked once."""
    epochs: int
    """Passes through them, of both models."""
    steps: int
    """PGD steps of the attacks in training."""
    encoder_blocks: int
    """How many of the encoder's last blocks were trained, too."""
    chosen_by: int
    """Images of the development split that chose the epoch."""
    reported: int
    """Other images of the development split, on which all of the following was measured."""
    cider: Shares
    """CIDEr on clean images."""
    distinct: Shares
    """Different captions as a share of all captions of clean images."""
    same: Shares
    """Share of the clean images with the plain model's caption."""
    harmless: tuple[Effect, ...]
    attacks: tuple[Effect, ...]
    lost: tuple[LostWords, ...]
    weights: str = field(default="")
    """SHA-256 of the captioner's weights that the differences apply to."""
