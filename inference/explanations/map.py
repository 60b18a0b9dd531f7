"""Heat maps of an image, and the maps of a caption."""

import base64
import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.progress import Progress

MAX_CELLS = 65
"""Cells on a side of a map in JSON."""

_LEVELS = 255


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """How much each region of an image mattered; no value is negative."""

    values: NDArray[np.float32]
    """[rows, columns], an even grid over the whole image, in the method's unit (`Method.unit`)."""
    note: str = ""
    """What is to be known about this map in particular, as a sentence for people."""

    def to_json(self) -> dict[str, Any]:
        """Return the map as JSON values, quantized to 255 levels of its peak.

        A map of more than `MAX_CELLS` a side is downsampled.
        """
        values = downsample(self.values)
        peak = float(values.max())
        levels = np.rint(values * (_LEVELS / peak)) if peak > 0 else np.zeros_like(values)
        return {
            "shape": list(values.shape),
            "data": base64.b64encode(levels.astype(np.uint8).tobytes()).decode(),
            "peak": float(f"{peak:.4g}"),
            **({"note": self.note} if self.note else {}),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Map":
        """Read what `to_json` returned."""
        levels = np.frombuffer(base64.b64decode(values["data"]), np.uint8)
        scale = np.float32(values["peak"] / _LEVELS)
        cells = levels.reshape(values["shape"]).astype(np.float32) * scale
        return cls(cells, values.get("note", ""))


@dataclass(frozen=True, slots=True)
class RoughMap(Progress):
    """The progress of a map that is already worth looking at, with the map so far."""

    map: Map

    def to_json(self) -> dict[str, Any]:
        """Return the progress and the map as JSON values."""
        return {"done": round(self.done, 4), "doing": self.doing, "map": self.map.to_json()}


def read_progress(values: dict[str, Any]) -> Progress:
    """Read what `to_json` of a progress or a rough map returned."""
    done, doing = values["done"], values["doing"]
    return (
        RoughMap(done, doing, Map.from_json(values["map"]))
        if "map" in values
        else Progress(done, doing)
    )


def downsample(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average [H, W, ...] over the smallest blocks that leave at most `MAX_CELLS` a side."""
    rows, columns = (math.ceil(side / math.ceil(side / MAX_CELLS)) for side in values.shape[:2])
    if (rows, columns) == values.shape[:2]:
        return values
    means = cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(means, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class CaptionMaps:
    """The maps of a caption and of its words."""

    method: str
    """Name of the method, see `inference.explanations.methods`."""
    words: tuple[Map, ...]
    """One for each of the caption's `words`."""
    caption: Map
    """Of the whole caption, even if it has a fallback."""

    def to_json(self) -> dict[str, Any]:
        """Return the maps as JSON values."""
        return {
            "method": self.method,
            "words": [each.to_json() for each in self.words],
            "caption": self.caption.to_json(),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "CaptionMaps":
        """Read what `to_json` returned."""
        return cls(
            values["method"],
            tuple(map(Map.from_json, values["words"])),
            Map.from_json(values["caption"]),
        )
