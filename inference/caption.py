"""What the captioner says of one picture."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from inference.explanations.maps import CaptionMaps


@dataclass(frozen=True, slots=True)
class Alternative:
    """A word that might have stood in another's place."""

    text: str
    prob: float
    """p(word | picture, words before), in 0..1."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a caption."""

    text: str
    """Lower case, as in the vocabulary."""
    prob: float
    """p(word | picture, words before), in 0..1."""
    alternatives: tuple[Alternative, ...]
    """The likeliest other words in this place, the likeliest first."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A kind of object in the picture, whether or not the caption mentions it."""

    text: str
    """An everyday name, lower case."""
    prob: float
    """The calibrated probability that it is there, in 0..1."""


Fallback = Literal["shorter", "tags"]


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the milliseconds went."""

    encoder: float
    decoder: float
    maps: float = 0.0


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption with how sure it is, as a whole and word by word."""

    text: str
    """A sentence: capitalised, with no full stop. Less than the whole caption if `fallback`."""
    confidence: float
    """How good the whole caption probably is, in 0..1; see `models.doubt`."""
    words: tuple[Word, ...]
    """The words of `text`; none if it only names the tags."""
    tags: tuple[Tag, ...]
    """The objects that are surely there, the surest first; none when unsure."""
    fallback: Fallback | None
    """What `text` is when the caption is too doubtful to be said: the part of it that is sure,
    or the tags."""
    guess: str
    """The whole caption that was too doubtful; empty if `text` is it."""
    kept: bool
    """Whether this is the stream's last caption, kept as the picture shows nothing new."""
    timing_ms: Timing
    maps: CaptionMaps | None = field(default=None, compare=False)
    """What spoke for each word, if that was computed."""

    def to_json(self) -> dict[str, Any]:
        """Return the caption as JSON values."""
        maps = self.maps.to_json() if self.maps else None
        return {**asdict(replace(self, maps=None)), "maps": maps}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Caption":
        """Read what `to_json` returned: as it was but for the levels of the maps."""
        words = tuple(
            Word(**{**word, "alternatives": tuple(Alternative(**a) for a in word["alternatives"])})
            for word in values["words"]
        )
        parts = {
            "words": words,
            "tags": tuple(Tag(**tag) for tag in values["tags"]),
            "timing_ms": Timing(**values["timing_ms"]),
            "maps": values["maps"] and CaptionMaps.from_json(values["maps"]),
        }
        return cls(**{**values, **parts})
