"""Parameters and findings of the concept analysis of one image."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from inference.explanations import Map

MIN_SCENES = 40
"""Scenes that a test needs; with fewer there is not enough evidence."""

Verdict = Literal["supports", "opposes", "not shown", "not enough evidence"]
"""Result of the test of a concept and a word, corrected for all tests of the word. "Not shown"
means that random concepts can have such an effect: the concept may still matter."""

VERDICT_TEXTS: dict[Verdict, str] = {
    "supports": "supports the word",
    "opposes": "opposes the word",
    "not shown": "not shown to matter",
    "not enough evidence": "not enough evidence",
}
"""For people."""


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
    effect: float | None
    """Change of the logit along the concept's direction, mean over the scenes: in multiples of what
    is usual (root mean square) for concepts made of random patches; negative if it falls."""
    p: float | None
    """Two-sided, corrected for all tests of the word; None without enough scenes."""
    scenes: int
    """Number of scenes; neighbouring frames of a video are one scene."""
    verdict: Verdict

    @property
    def matters(self) -> bool:
        """Whether the word was shown to depend on the concept."""
        return self.verdict in ("supports", "opposes")


@dataclass(frozen=True, slots=True)
class FalsePositives:
    """How often random concepts were judged to matter, which none of them does.

    A random concept is a set of random patches of the images in which a concept was found, as many
    as it has. In each run, all concepts of a word are replaced by such, which are tested and
    corrected as the concepts were.
    """

    level: float
    """Share of runs that may have a false positive, in 0..1."""
    runs: int
    """Of all words together."""
    concepts: int
    """Random concepts in all runs."""
    false_runs: int
    """Runs in which a random concept was judged to support or oppose its word."""
    false_concepts: int
    """Random concepts that were, in all runs."""

    def text(self) -> str:
        """Return a sentence about the rate, for people."""
        return (
            f"Of {self.concepts:,} random concepts tested in the same way, "
            f"{self.false_concepts / self.concepts:.1%} were judged to matter: at least one in "
            f"{self.false_runs / self.runs:.1%} of {self.runs:,} tests of a word "
            f"({self.level:.0%} allowed)"
        )


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
    false_positives: FalsePositives | None = None
    """Of the tests behind the verdicts; None if nothing was tested."""
    notes: tuple[str, ...] = ()
    """Warnings for readers, such as too few scenes for a test."""
    pictures: dict[str, bytes] = field(default_factory=dict)
    """WebP files by `ConceptInFrame.picture`: images that illustrate the concepts."""

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
            "false_positives": self.false_positives and asdict(self.false_positives),
            "notes": list(self.notes),
            "took_s": round(self.took_s, 3),
        }
