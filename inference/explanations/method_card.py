"""What a method says of itself, for people and for requests that name it."""

from dataclasses import asdict, dataclass
from typing import Any


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
