"""Targets of explanations, and the cards that describe the methods. Needs no TensorFlow."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

TargetKind = Literal["word", "contrast", "caption", "tag"]


@dataclass(frozen=True, slots=True)
class Target:
    """What to explain: a choice of the score z, given the image and the caption's words.

    `word`: the logit of the word at `index`, given the previous words. `contrast`: that logit less
    the logit of the word `text` in the same place: why this word instead of that one. `caption`:
    the sum of the logits of all words, without the end token. `tag`: the log-odds of the tag
    `text`, see `models.calibration.tags`.
    """

    kind: TargetKind
    index: int | None = None
    """For `word` and `contrast`: index of the word in the caption, from 0."""
    text: str | None = None
    """For `tag` and `contrast`: the tag, or the word to compare with."""

    def to_json(self) -> dict[str, Any]:
        """Return the target as JSON values, without the fields that are None."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Target":
        """Read what `to_json` returned."""
        return cls(**values)


@dataclass(frozen=True, slots=True)
class MethodCard:
    """The properties of a method, see `inference.explanations.method.Method`."""

    name: str
    """Identifier in requests, such as `gradcam`."""
    title: str
    """Display name, such as `Grad-CAM`."""
    paper: str
    """Where it is defined."""
    cost: str
    """In passes through the encoder and the decoder, for people."""
    unit: str
    """Unit of the map's values."""
    kinds: tuple[str, ...]
    """Kinds of targets that it can explain."""

    def to_json(self) -> dict[str, Any]:
        """Return the card as JSON values."""
        return {**asdict(self), "kinds": list(self.kinds)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "MethodCard":
        """Read what `to_json` returned."""
        return cls(**{**values, "kinds": tuple(values["kinds"])})
