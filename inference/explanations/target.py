"""What is explained: the number z that a method attributes to places of the picture.

What a method says of itself, for people and for requests that name it.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["word", "contrast", "caption", "tag"]


@dataclass(frozen=True, slots=True)
class Target:
    """A choice of z, given the picture and the words of its caption.

    `word`: the logit of the word at `index`, given the words before it. `contrast`: that logit
    less the logit of the word `text` in the same place: why this word and not that one.
    `caption`: the sum of the logits of all words that were said, the end left out. `tag`: the
    log-odds of the tag `text`, see `models.calibration.tags`.
    """

    kind: Kind
    index: int | None = None
    """Place in the caption, from 0: of `word` and `contrast`."""
    text: str | None = None
    """The tag, or the word that might have stood there: of `tag` and `contrast`."""

    def to_json(self) -> dict[str, Any]:
        """Return the target as JSON values, without what it does not have."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Target":
        """Read what `to_json` returned."""
        return cls(**values)


@dataclass(frozen=True, slots=True)
class MethodCard:
    """A method of `inference.explanations.methods`, without what computes it."""

    name: str
    """As requests name it: `gradcam`."""
    title: str
    """For people: `Grad-CAM`."""
    paper: str
    """Where it is defined."""
    cost: str
    """In passes through the encoder and the decoder, for people."""
    unit: str
    """Of the map's values."""
    kinds: tuple[str, ...]
    """Kinds of targets that it can explain, see `Target`."""

    def to_json(self) -> dict[str, Any]:
        """Return the card as JSON values."""
        return {**asdict(self), "kinds": list(self.kinds)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "MethodCard":
        """Read what `to_json` returned."""
        return cls(**{**values, "kinds": tuple(values["kinds"])})
