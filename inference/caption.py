"""What the captioner says of one picture."""

from dataclasses import asdict, dataclass
from typing import Any


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
class Timing:
    """Where the milliseconds went."""

    encoder: float
    decoder: float


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption with how sure each word was."""

    text: str
    """A sentence: capitalised, with no full stop."""
    confidence: float
    """Geometric mean of the words' probabilities, in 0..1."""
    words: tuple[Word, ...]
    timing_ms: Timing

    def to_json(self) -> dict[str, Any]:
        """Return the caption as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Caption":
        """Read what `to_json` returned."""
        words = tuple(
            Word(
                word["text"],
                word["prob"],
                tuple(Alternative(**other) for other in word["alternatives"]),
            )
            for word in values["words"]
        )
        timing = Timing(**values["timing_ms"])
        return cls(values["text"], values["confidence"], words, timing)
