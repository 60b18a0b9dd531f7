"""A map over the returned video: how much each place of the picture mattered, in colours.

A map is turned once into what is to be mixed into the Y, U and V planes; each frame then costs one
multiplication and one addition per sample. A place that did not matter is seen as it came.
"""

import threading
from collections import OrderedDict

import av
import numpy as np
from numpy.typing import NDArray

from inference.explanations import COLOURS, OPACITIES, Map, levels_of
from stream.video.frame import Mixture, blank, converted, planes

CACHED = 2
"""Renderings kept: the present map, and the one before while frames of both are around."""


_TO_YUV = np.array(
    [
        [65.481, 128.553, 24.966],
        [-37.797, -74.203, 112.0],
        [112.0, -93.786, -18.214],
    ]
)
"""ITU-R BT.601, from RGB in 0..1 to Y, U and V in video range."""


_BLACK = np.array([16, 128, 128])


Mixtures = tuple[Mixture, Mixture, Mixture]


class HeatOverlay:
    """Draws the maps of one stream: one thread draws, another may prepare meanwhile."""

    def __init__(self) -> None:
        """Start with nothing drawn."""
        self._prepared: OrderedDict[tuple[Map, int, int], Mixtures] = OrderedDict()
        self._lock = threading.Lock()

    def is_prepared(self, heat: Map | None, width: int, height: int) -> bool:
        """Whether the map can be drawn into frames of this size at once."""
        return _is_blank(heat) or (heat, width, height) in self._prepared

    def prepare(self, heat: Map | None, width: int, height: int) -> None:
        """Colour the map for frames of this size, some milliseconds' work."""
        if heat is not None and not _is_blank(heat):
            self._mixtures(heat, width, height)

    def draw(self, frame: av.VideoFrame, heat: Map | None) -> av.VideoFrame:
        """Give the frame with a map over it.

        Args:
            frame: Of any size and pixel format; it is only read.
            heat: The map, over the whole frame.

        Returns:
            A new yuv420p frame with the same timestamps; the frame itself where there is nothing
            to draw.
        """
        if heat is None or _is_blank(heat):
            return frame
        mixtures = self._mixtures(heat, frame.width, frame.height)
        picture = converted(frame, "yuv420p")
        drawn = blank(picture.width, picture.height, like=picture)
        for source, target, mixture in zip(planes(picture), planes(drawn), mixtures, strict=True):
            mixture.apply(source, target)
        return drawn

    def _mixtures(self, heat: Map, width: int, height: int) -> Mixtures:
        key = (heat, width, height)
        with self._lock:
            if key in self._prepared:
                self._prepared.move_to_end(key)
                return self._prepared[key]
        mixtures = _colour(heat, width, height)
        with self._lock:
            self._prepared[key] = mixtures
            if len(self._prepared) > CACHED:
                self._prepared.popitem(last=False)
        return mixtures


def _is_blank(heat: Map | None) -> bool:
    return heat is None or not heat.values.any()


def _colour(heat: Map, width: int, height: int) -> Mixtures:
    luma = levels_of(heat, height, width)
    chroma = levels_of(heat, (height + 1) // 2, (width + 1) // 2)
    y, u, v = _ADDED
    return _mixture(luma, y), _mixture(chroma, u), _mixture(chroma, v)


def _mixture(levels: NDArray[np.uint8], added: NDArray[np.uint16]) -> Mixture:
    return Mixture(keep=_KEPT[levels], add=added[levels], product=np.empty(levels.shape, np.uint16))


def _tables() -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """What each level keeps of a sample, [LEVELS], and what it adds to Y, U and V, [3, LEVELS]."""
    colours = COLOURS / 255 @ _TO_YUV.T + _BLACK
    kept = np.rint(256 * (1 - OPACITIES))
    # From what is kept as it is rounded: the shares of sample and colour must make a whole.
    added = (256 - kept)[:, None] * colours + 128
    return kept.astype(np.uint16), np.rint(added).astype(np.uint16).T


_KEPT, _ADDED = _tables()
