"""A map: how much each place of a picture mattered."""

import base64
import math
from dataclasses import dataclass
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
