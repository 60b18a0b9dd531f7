"""The heat map on the annotated video: the importance of each place in the frame, as colours.

A map is turned once into a layer for each of the Y, U and V planes; each frame then costs one
multiplication and one addition per sample. Places of no importance stay as they are.
"""

import threading
from collections import OrderedDict

import av
import numpy as np
from numpy.typing import NDArray

from inference.explanations import COLORMAP, OPACITIES, Map, to_levels
from stream.video.frame import Blend, blank_frame, convert_frame, yuv_planes

_MAX_CACHED = 2
"""Maps kept: the current one, and the one before while frames still use it."""

_RGB_TO_YUV = np.array(
    [
        [65.481, 128.553, 24.966],
        [-37.797, -74.203, 112.0],
        [112.0, -93.786, -18.214],
    ]
)
"""ITU-R BT.601, from RGB in 0..1 to Y, U and V in video range."""

_BLACK = np.array([16, 128, 128])

Blends = tuple[Blend, Blend, Blend]


class HeatmapOverlay:
    """Draws the maps of one stream: one thread may draw while another prepares."""

    def __init__(self) -> None:
        """Start without prepared maps."""
        self._prepared: OrderedDict[tuple[Map, int, int], Blends] = OrderedDict()
        self._lock = threading.Lock()

    def is_prepared(self, heatmap: Map | None, width: int, height: int) -> bool:
        """Return whether the map can be drawn on frames of this size at once."""
        return _is_blank(heatmap) or (heatmap, width, height) in self._prepared

    def prepare(self, heatmap: Map | None, width: int, height: int) -> None:
        """Colour the map for frames of this size, which takes some milliseconds."""
        if heatmap is not None and not _is_blank(heatmap):
            self._blends(heatmap, width, height)

    def draw(self, frame: av.VideoFrame, heatmap: Map | None) -> av.VideoFrame:
        """Return the frame with a map drawn over it.

        Args:
            frame: Of any size and pixel format; it is only read.
            heatmap: The map, which covers the whole frame.

        Returns:
            A new yuv420p frame with the same timestamps; the frame itself if there is nothing to
            draw.
        """
        if heatmap is None or _is_blank(heatmap):
            return frame
        blends = self._blends(heatmap, frame.width, frame.height)
        source = convert_frame(frame, "yuv420p")
        drawn = blank_frame(source.width, source.height, like=source)
        for before, after, blend in zip(yuv_planes(source), yuv_planes(drawn), blends, strict=True):
            blend.apply(before, after)
        return drawn

    def _blends(self, heatmap: Map, width: int, height: int) -> Blends:
        key = (heatmap, width, height)
        with self._lock:
            if key in self._prepared:
                self._prepared.move_to_end(key)
                return self._prepared[key]
        blends = _colour(heatmap, width, height)
        with self._lock:
            self._prepared[key] = blends
            if len(self._prepared) > _MAX_CACHED:
                self._prepared.popitem(last=False)
        return blends


def _is_blank(heatmap: Map | None) -> bool:
    return heatmap is None or not heatmap.values.any()


def _colour(heatmap: Map, width: int, height: int) -> Blends:
    luma = to_levels(heatmap, height, width)
    chroma = to_levels(heatmap, (height + 1) // 2, (width + 1) // 2)
    y, u, v = _ADD
    return _blend(luma, y), _blend(chroma, u), _blend(chroma, v)


def _blend(levels: NDArray[np.uint8], add: NDArray[np.uint16]) -> Blend:
    return Blend(keep=_KEEP[levels], add=add[levels], product=np.empty(levels.shape, np.uint16))


def _blend_tables() -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Return the weight of a sample at each level, [LEVELS], and what is added, [3, LEVELS]."""
    colours = COLORMAP / 255 @ _RGB_TO_YUV.T + _BLACK
    keep = np.rint(256 * (1 - OPACITIES))
    # From the rounded weight, so that the weights of sample and colour add up to 256.
    add = (256 - keep)[:, None] * colours + 128
    return keep.astype(np.uint16), np.rint(add).astype(np.uint16).T


_KEEP, _ADD = _blend_tables()
