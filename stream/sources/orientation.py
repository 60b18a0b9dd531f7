"""Turning a picture the way that its display matrix asks for.

A phone held upright records lying frames and a note on how to turn them: the display matrix of
ISO/IEC 14496-12, section 8.3.2 (`tkhd`), which FFmpeg hands on as side data of each frame.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import av
import cv2
import numpy as np
from av.sidedata.sidedata import SideData

from stream.conversion import converted
from stream.yuv import Plane, blank, planes


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight ways to lay a picture down: a transposition, then mirrorings."""

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> "Orientation":
        """Read the display matrix of a frame; a skew angle counts as the nearest right angle."""
        side_data = cast("Mapping[str, SideData]", frame.side_data).get("DISPLAYMATRIX")
        if side_data is None:
            return cls()
        matrix = np.frombuffer(memoryview(side_data), np.int32)
        # A picture's point (p, q) is shown at (a p + c q, b p + d q).
        a, b, _, c, d = matrix[:5].tolist()
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(transposed=True, mirrored_x=c < 0, mirrored_y=b < 0)
        return cls(mirrored_x=a < 0, mirrored_y=d < 0)

    def apply(self, plane: Plane) -> Plane:
        """Turn one plane."""
        if self.transposed:
            plane = cv2.transpose(plane)  # type: ignore[assignment]
        if self.mirrored_x:
            plane = cv2.flip(plane, 1)  # type: ignore[assignment]
        if self.mirrored_y:
            plane = cv2.flip(plane, 0)  # type: ignore[assignment]
        return plane


def upright(frame: av.VideoFrame) -> av.VideoFrame:
    """Give the frame as it is meant to be seen.

    Returns:
        The frame itself where nothing is to be turned, otherwise a new yuv420p frame with the
        same timestamps.
    """
    orientation = Orientation.of(frame)
    if orientation == Orientation():
        return frame
    lying = converted(frame, "yuv420p")
    width, height = lying.width, lying.height
    if orientation.transposed:
        width, height = height, width
    turned = blank(width, height, like=lying)
    for target, plane in zip(planes(turned), planes(lying), strict=True):
        target[:] = orientation.apply(plane)
    return turned
