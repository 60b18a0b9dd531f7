"""What a captioner says of itself once it is loaded."""

from dataclasses import dataclass
from typing import Any

from inference.explanations.method_card import MethodCard


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the loaded captioner says of itself."""

    name: str
    encoder: str
    image_size: int
    vocabulary_size: int
    beam_width: int
    licence: str
    figures: dict[str, float]
    tags: bool
    """Whether captions come with object tags."""
    hardened: bool
    """Whether there is a decoder that was hardened against attacks."""
    concepts: bool
    """Whether there is a bank of concepts."""
    methods: tuple[MethodCard, ...]
    """How captions can be explained, the one of the maps that come with each caption first."""

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "EngineInfo":
        """Read what the process says when it is ready."""
        return cls(**{**values, "methods": tuple(map(MethodCard.from_json, values["methods"]))})
