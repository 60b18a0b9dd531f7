"""A map: how much each place of a picture mattered.

The maps that come with a caption: of its words, and of all of it.

What a check of a map found: whether the places that it points at are what the word rests on.
"""

import base64
import math
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MOST_CELLS = 65
"""Of a side of a map that is sent."""

_LEVELS = 255


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """How much each place mattered: none is negative."""

    values: NDArray[np.float32]
    """[rows, columns], over the whole picture: its rows and columns are of equal height and
    width. In the unit of the method, see `Method.unit`."""

    def to_json(self) -> dict[str, Any]:
        """Return the map as JSON values, in 255 levels of its largest value, the peak.

        A map of more than `MOST_CELLS` a side is sent as the means of its blocks.
        """
        values = pooled(self.values)
        peak = float(values.max())
        levels = np.rint(values * (_LEVELS / peak)) if peak > 0 else np.zeros_like(values)
        return {
            "shape": list(values.shape),
            "data": base64.b64encode(levels.astype(np.uint8).tobytes()).decode(),
            "peak": float(f"{peak:.4g}"),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Map":
        """Read what `to_json` returned: as it was but for the levels."""
        levels = np.frombuffer(base64.b64decode(values["data"]), np.uint8)
        scale = np.float32(values["peak"] / _LEVELS)
        return cls(levels.reshape(values["shape"]).astype(np.float32) * scale)


def pooled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take the means of blocks, the smallest that leave `MOST_CELLS` a side: of [H, W, ...]."""
    rows, columns = (math.ceil(side / math.ceil(side / MOST_CELLS)) for side in values.shape[:2])
    if (rows, columns) == values.shape[:2]:
        return values
    means = cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(means, np.float32)


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


@dataclass(frozen=True, slots=True)
class Check:
    """The probability of a word, given the words before it, with parts of the picture blanked."""

    share: float
    """Of the picture that was blanked, in 0..1."""
    prob: float
    """With nothing blanked, in 0..1."""
    blanked: float
    """With the top of the map blanked."""
    random: tuple[float, float, float]
    """With as much of other places blanked: the lowest, the median and the highest of the draws."""

    def to_json(self) -> dict[str, Any]:
        """Return the check as JSON values."""
        return {**asdict(self), "random": list(self.random)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Check":
        """Read what `to_json` returned."""
        lowest, median, highest = values["random"]
        return cls(values["share"], values["prob"], values["blanked"], (lowest, median, highest))
