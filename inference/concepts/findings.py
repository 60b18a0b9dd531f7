"""Parameters and findings of the concept analysis of one image."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from inference.explanations import Map

MIN_SCENES = 40
"""Scenes that a test needs; with fewer there is not enough evidence."""

Verdict = Literal["supports", "opposes", "not shown", "not enough evidence"]
"""Result of the test of a concept and a word, corrected for all tests of the run. `not shown`: no
effect beyond chance was found, which does not show that there is none."""


class ConceptParams(BaseModel):
    """Parameters; an analysis with the defaults takes seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scope: Literal["bank", "frames"] = "bank"
    """Where the concepts come from: `bank`, fitted offline, or `frames`, discovered in the given
    frames, which takes minutes."""
    word: str = Field("", max_length=40, pattern=r"^[a-z0-9']*$")
    """Word of the caption to analyse. If empty: every content word with the bank, the first object
    word with frames."""
    concepts: int = Field(4, ge=1, le=8)
    """Maximum number of concepts per word."""
    rank: int = Field(6, ge=2, le=12)
    """Number of components that the image's grid is factorised into."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of everything that is random."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Test result of a concept and a word (TCAV, Kim et al., ICML 2018, over scenes)."""

    tcav: float | None
    """Share of the scenes in which more of the concept would raise the word's logit, in 0..1."""
    tcav_random: float | None
    """The same for random directions: the mean."""
    p: float | None
    """Two-sided, corrected for all tests of the run; None without enough scenes."""
    scenes: int
    """Number of scenes; neighbouring frames of a video are one scene."""
    verdict: Verdict


@dataclass(frozen=True, slots=True, eq=False)
class ConceptInFrame:
    """One concept of a word in the analysed image."""

    id: str
    """`dog-2`: the word, and the concept's number, from 1."""
    presence: float
    """Activation of the strongest cell, in standard deviations above the mean over other
    images."""
    support: float
    """Contribution to the word's logit here, by the gradient; negative if it lowers the logit."""
    map: Map
    """Activation of each cell above the mean."""
    evidence: Evidence
    picture: str
    """Name of the image that illustrates the concept; empty if there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class WordConcepts:
    """The concepts of one content word of the caption."""

    text: str
    index: int
    """Position in the caption."""
    concepts: tuple[ConceptInFrame, ...]
    """By support, highest first; empty if `why_none` is given."""
    why_none: str
    """Why there are no concepts, as text for people; otherwise empty."""


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """A component of the image's grid (NMF, as in CRAFT: Fel et al., CVPR 2023)."""

    map: Map
    importance: float
    """Loss in the mean log-probability of the caption's words without it, in nats; 0 for a caption
    without words."""
    words: tuple[str, ...]
    """Words with the largest loss without it, the largest first."""


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """A factorisation of the image's grid into a few components."""

    components: tuple[Component, ...]
    """The most important first."""
    explained: float
    """Share of the grid's variance that they explain, in 0..1."""
    caption: str
    """Caption of the grid reconstructed from them alone."""
    agreement: float
    """Share of the original caption's words that are kept in that caption, aligned, in 0..1."""


@dataclass(frozen=True, slots=True, eq=False)
class ConceptFindings:
    """Everything that a concept analysis found."""

    scope: Literal["bank", "frames"]
    """Where the concepts come from: the bank, or the given frames."""
    frames: int
    """Number of images that were searched for concepts; for the bank, when it was fitted."""
    scenes: int
    words: tuple[WordConcepts, ...]
    factors: Factors | None
    took_s: float
    """Computing time of the engine."""
    notes: tuple[str, ...] = ()
    """Warnings for readers, such as too few scenes for a test."""
    pictures: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    """RGB [h, w, 3] by `ConceptInFrame.picture`: images that illustrate the concepts."""

    def to_json(self) -> dict[str, Any]:
        """Return the findings as JSON values, without `pictures`."""
        return {
            "scope": self.scope,
            "frames": self.frames,
            "scenes": self.scenes,
            "words": [
                {
                    "text": word.text,
                    "index": word.index,
                    "why_none": word.why_none,
                    "concepts": [
                        {
                            "id": each.id,
                            "presence": each.presence,
                            "support": each.support,
                            "map": each.map.to_json(),
                            "picture": each.picture,
                            **asdict(each.evidence),
                        }
                        for each in word.concepts
                    ],
                }
                for word in self.words
            ],
            "factors": self.factors
            and {
                "explained": self.factors.explained,
                "caption": self.factors.caption,
                "agreement": self.factors.agreement,
                "components": [
                    {"map": c.map.to_json(), "importance": c.importance, "words": list(c.words)}
                    for c in self.factors.components
                ],
            },
            "notes": list(self.notes),
            "took_s": round(self.took_s, 3),
        }
