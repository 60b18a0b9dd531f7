"""What an analysis of concepts can be asked for.

What an analysis of concepts found.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from inference.explanations import Map

Verdict = Literal["supports", "opposes", "no effect", "not enough evidence"]
"""What the test over scenes says of a concept and a word, corrected for all tests of the run."""


class ConceptParams(BaseModel):
    """The choices, with defaults that finish within seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scope: Literal["bank", "frames"] = "bank"
    """Against what the picture is held: the concepts that were fitted offline, or those that are
    discovered in the frames that are given, which takes minutes."""
    word: str = Field("", max_length=40, pattern=r"^[a-z0-9']*$")
    """Of the caption, whose concepts are sought; empty: all that carry meaning in the bank, the
    first one for a thing in frames."""
    concepts: int = Field(4, ge=1, le=8)
    """Of a word that are told at most."""
    rank: int = Field(6, ge=2, le=12)
    """Parts that the picture's grid is taken apart into."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Of all that is drawn at random."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a concept and a word (TCAV, Kim et al., ICML 2018, over scenes)."""

    tcav: float | None
    """Share of the scenes in which more of the concept would raise the word's logit, in 0..1."""
    tcav_random: float | None
    """The same of random directions: the mean."""
    p: float | None
    """Two-sided, after the correction for all tests of the run; None without enough scenes."""
    scenes: int
    """Scenes that were counted: neighbouring frames of a video are one."""
    verdict: Verdict


@dataclass(frozen=True, slots=True, eq=False)
class ConceptInFrame:
    """One concept of a word, in the picture that is looked at."""

    id: str
    """`dog-2`: the word, and the concept's number, from 1."""
    presence: float
    """How much of it there is: standard deviations from the mean over other pictures, of the
    cell that has the most."""
    support: float
    """What it adds to the word's logit here, by the gradient: negative if it takes off."""
    map: Map
    """Where it is: how much of it each cell has, above the mean."""
    evidence: Evidence
    picture: str
    """Name of the picture that shows what the concept looks like; empty if there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class WordConcepts:
    """The concepts of one content word of the caption."""

    text: str
    index: int
    """Its place in the caption."""
    concepts: tuple[ConceptInFrame, ...]
    """Those that add most first; empty if `why_none`."""
    why_none: str
    """Why there are none, for people: "the bank knows no `zebra`: it was in 3 scenes of the
    training data"; empty if there are some."""


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """A part that the picture's own grid is made of (NMF, as CRAFT: Fel et al., CVPR 2023)."""

    map: Map
    importance: float
    """How far the mean log-probability of the caption's words falls without it, in nats."""
    words: tuple[str, ...]
    """Words that lose most without it, the most first."""


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """A picture's grid as a sum of few parts."""

    components: tuple[Component, ...]
    """The most important first."""
    explained: float
    """Share of the grid's variance that they make up, in 0..1."""
    caption: str
    """What is said of the grid that is made of them alone."""
    agreement: float
    """Share of the caption's words that are said again, aligned, in 0..1."""


@dataclass(frozen=True, slots=True, eq=False)
class ConceptFindings:
    """All of it."""

    scope: Literal["bank", "frames"]
    """From where the concepts are: fitted offline, or found in the frames that were given."""
    frames: int
    """Pictures in which concepts were sought; of the bank, in which it was fitted."""
    scenes: int
    words: tuple[WordConcepts, ...]
    factors: Factors | None
    took_s: float
    """Of the engine's own time."""
    notes: tuple[str, ...] = ()
    """What a reader has to know, for people: "6 scenes are too few for a test; 40 are needed"."""
    pictures: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    """RGB [h, w, 3] by name: what concepts look like; `ConceptInFrame.picture` names them."""

    def to_json(self) -> dict[str, Any]:
        """Return all but the pictures as JSON values."""
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
