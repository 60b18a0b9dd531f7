"""Parameters and findings of the adversarial analysis of one image.

All epsilons are norms of perturbations, in grey levels of 0..255.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.attacks import Norm
from models.language import WordEdit

_MAX_WORD_LENGTH = 40


class AdversarialParams(BaseModel):
    """Parameters; the default analysis takes 20 s on two cores beside a live stream."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    norm: Norm = "linf"
    """Norm of the attack shown next to the clean image, and of the curve."""
    epsilon_most: float = Field(16.0, ge=0.5, le=64)
    """Largest epsilon to search in L-inf, in grey levels of 0..255. In L2, the limit is this times
    the square root of the number of values: the length of an L-inf attack that changes all of
    them."""
    steps: int = Field(6, ge=1, le=20)
    """PGD steps for each epsilon that is tried."""
    draws: int = Field(4, ge=1, le=16)
    """Random-noise samples for each epsilon of the curve."""
    epsilon_compare: float = Field(0.5, ge=0.05, le=64)
    """L-inf epsilon of the attack under which the hardened model and its control are compared with
    the captioner."""
    segments: int = Field(15, ge=2, le=60)
    """Approximate number of image segments, to find which can flip a word on their own."""
    epsilon_segment: float = Field(1.0, ge=0.1, le=64)
    """L-inf epsilon inside the attacked segment."""
    say: str = Field("", max_length=_MAX_WORD_LENGTH)
    """Word to force into the caption; empty for none."""
    lose: str = Field("", max_length=_MAX_WORD_LENGTH)
    """Word to force out of the caption; empty for the object word with the highest confidence."""
    seed: int = Field(0, ge=0, le=2**32 - 1)
    """Seed of the noise."""


@dataclass(frozen=True, slots=True)
class SmallestPerturbation:
    """The smallest perturbation found that reaches a goal: an upper bound on the true minimum."""

    attack: str
    """The attack that found it: `fgsm`, `fab` or `pgd`; the last one if none did."""
    norm: Norm
    epsilon: float | None
    """None if no perturbation up to `largest` reaches the goal."""
    largest: float
    """Upper limit of the search."""
    caption: str = ""
    """The caption of the perturbed image; empty if nothing was found. For an attack on a word, the
    word that becomes most likely in its place."""


@dataclass(frozen=True, slots=True)
class WordFindings:
    """How robust one word of the caption is."""

    text: str
    index: int
    is_object: bool
    """Whether it is a content word that names an object, see `word_kind`."""
    smallest: SmallestPerturbation
    """Makes another word more likely in this place, given the same preceding words. Epsilon is 0 if
    another word is already more likely on the clean image: beam search finds the caption as a
    whole, so not each of its words is the most likely one in its place."""
    becomes: str
    """The word that becomes most likely; empty if none was found, or if the caption ends there."""
    log_prob: float
    """Calibrated log-probability on the clean image, teacher-forced, in nats."""
    log_prob_attacked: float
    """The same on the attacked image of the comparison."""
    log_prob_noise: float
    """The mean over images with random noise of that attack's norm."""
    log_prob_hardened: float | None
    """On the attacked image, by the hardened model; None if there is none."""
    fragile: bool
    """Whether under the comparison's attack the captioner and the control lose the word and the
    hardened model keeps it. False without a hardened model."""
    regions: tuple[int, ...]
    """Labels of the segments that flip the word on their own, attacked within `Regions.epsilon`."""


@dataclass(frozen=True, slots=True)
class Rounding:
    """What is left of an attack when the image is stored in whole grey levels."""

    caption: str
    """Caption of the attacked image, rounded."""
    survives: bool
    """Whether it differs from the caption of the clean image."""
    whole_levels: int | None
    """The smallest number of whole grey levels, of those that were tried, that changes the caption
    when each value moves by it in the attack's direction; None if none does."""


@dataclass(frozen=True, slots=True)
class AttackedCaption:
    """The caption under the smallest perturbation found, next to that of the clean image.

    If none was found, the largest step that was searched.
    """

    attack: str
    norm: Norm
    epsilon: float
    """Norm of the perturbation: that of the first of `AdversarialFindings.smallest`."""
    clean: str
    """f(x): caption of the clean image."""
    attacked: str
    """f(x+d): caption of the attacked image."""
    diff: tuple[WordEdit, ...]
    """From f(x) to f(x+d)."""
    rounding: Rounding


@dataclass(frozen=True, slots=True)
class HarmlessChange:
    """A change of the image that is no attack, to compare with."""

    name: str
    """A key of `models.hardening.HARMLESS`."""
    caption: str
    changed: bool
    """Whether the caption differs from that of the clean image."""


ModelName = Literal["plain", "hardened", "control"]


@dataclass(frozen=True, slots=True)
class ComparedCaption:
    """What one model says of the attacked image of the comparison."""

    model: ModelName
    clean: str
    """Its caption of the clean image."""
    attacked: str
    """Its caption of the attacked image."""
    diff: tuple[WordEdit, ...]
    """From the caption of the clean image, f(x), to `attacked`."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The captioner, the hardened model and its control under one attack on the captioner.

    The hardened model was trained on attacked images, the control as long on noisy ones; see
    `models.hardening`. The attack is of a fixed size, PGD in L-inf, and so stronger than the
    smallest one: just beyond the boundary any other model would keep the words.
    """

    epsilon: float
    captions: tuple[ComparedCaption, ...]
    """The captioner's own, and with a hardened model that model's and the control's."""
    by_chance: float | None
    """Share of the words called fragile that two models that differ by chance would give as well,
    measured on `measured_on` images; None if that was not measured."""
    measured_on: int

    @property
    def has_hardened(self) -> bool:
        """Whether there is a hardened model to compare with."""
        return len(self.captions) > 1


@dataclass(frozen=True, slots=True)
class Curve:
    """How much of the caption changes as the perturbation grows."""

    norm: Norm
    attack: str
    epsilons: tuple[float, ...]
    changed: tuple[float, ...]
    """Under the attack: word edits divided by the words of the original caption, at most 1."""
    log_prob: tuple[float, ...]
    """Under the attack: mean log-probability of the original words, teacher-forced, in nats."""
    noise_changed: tuple[float, ...]
    """Under random noise of the same norm: the mean over `draws` samples."""
    noise_changed_most: tuple[float, ...]
    """The maximum over the samples."""
    noise_log_prob: tuple[float, ...]
    draws: int


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Segments of the image that were attacked one at a time."""

    epsilon: float
    """L-inf, inside the attacked segment."""
    labels: NDArray[np.int32]
    """[S, S]: the segment of each pixel of the resized image, from 0."""
    count: int


@dataclass(frozen=True, slots=True)
class KeywordAttack:
    """An attack that forces a word into the caption, or out of it (Chen et al., ACL 2018)."""

    aim: Literal["say", "lose"]
    word: str
    smallest: SmallestPerturbation


@dataclass(frozen=True, slots=True, eq=False)
class AdversarialFindings:
    """Everything that an adversarial analysis found."""

    smallest: tuple[SmallestPerturbation, ...]
    """Perturbations that change the caption. The first is the main result, the smallest in the
    norm of the parameters over all attacks; the others are by single attacks and in the other
    norm."""
    words: tuple[WordFindings, ...]
    attacked: AttackedCaption
    harmless: tuple[HarmlessChange, ...]
    comparison: Comparison
    curve: Curve
    regions: Regions
    keywords: tuple[KeywordAttack, ...]
    took_s: float
    """Computing time of the engine."""
    pictures: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    """RGB [S, S, 3] by name: `clean`, `attacked`, `perturbation` (magnified around grey by
    `magnified`), `map-before` and `map-after` (the live method's map of the whole caption, painted
    over the image) and `regions` (the image with the segments outlined)."""
    magnified: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """Return the findings as JSON values, without `pictures` and `regions.labels`."""
        return {
            "smallest": [asdict(each) for each in self.smallest],
            "words": [asdict(each) for each in self.words],
            "attacked": asdict(self.attacked),
            "harmless": [asdict(each) for each in self.harmless],
            "comparison": asdict(self.comparison),
            "curve": asdict(self.curve),
            "regions": {"epsilon": self.regions.epsilon, "count": self.regions.count},
            "keywords": [asdict(each) for each in self.keywords],
            "magnified": self.magnified,
            "took_s": round(self.took_s, 3),
        }
