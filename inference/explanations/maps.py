"""The maps that come with a caption: of its words, and of all of it."""

from dataclasses import dataclass
from typing import Any

from inference.explanations.map import Map


@dataclass(frozen=True, slots=True, eq=False)
class CaptionMaps:
    """Where the captioner looked."""

    method: str
    """The name of the method, see `inference.explanations.methods`."""
    words: tuple[Map, ...]
    """Of each of the caption's `words`."""
    caption: Map
    """Of the whole caption as it was found, also when not all of it is said."""

    def to_json(self) -> dict[str, Any]:
        """Return the maps as JSON values."""
        return {
            "method": self.method,
            "words": [each.to_json() for each in self.words],
            "caption": self.caption.to_json(),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "CaptionMaps":
        """Read what `to_json` returned: as it was but for the levels of the maps."""
        return cls(
            values["method"],
            tuple(map(Map.from_json, values["words"])),
            Map.from_json(values["caption"]),
        )
