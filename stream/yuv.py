"""The pixels of a yuv420p video frame, as numpy sees them."""

import av
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]


def planes(frame: av.VideoFrame) -> tuple[Plane, Plane, Plane]:
    """Give the Y, U and V planes of a yuv420p frame as views into its own memory.

    Writing into a view writes into the frame. A frame from a decoder may be the reference of
    frames still to come, so write only into frames made by `blank`.

    Returns:
        uint8 [height, width], and twice uint8 [ceil(height / 2), ceil(width / 2)]. The bytes that
        pad a line to the frame's line size are left out.

    Raises:
        ValueError: the frame has another pixel format.
    """
    if frame.format.name != "yuv420p":
        raise ValueError(f"expected a yuv420p frame, got {frame.format.name}: reformat it first")
    y, u, v = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, : plane.width]
        for plane in frame.planes
    )
    return y, u, v


def blank(width: int, height: int, like: av.VideoFrame | None = None) -> av.VideoFrame:
    """Make a yuv420p frame whose pixels are still to be written.

    Args:
        width: in pixels.
        height: in pixels.
        like: a frame whose timestamps and colour description the new one takes over.
    """
    frame = av.VideoFrame(width, height, "yuv420p")
    if like is not None:
        frame.pts = like.pts
        frame.dts = like.dts
        frame.duration = like.duration
        if like.time_base is not None:
            frame.time_base = like.time_base
        frame.colorspace = like.colorspace
        frame.color_range = like.color_range
        frame.color_trc = like.color_trc
        frame.color_primaries = like.color_primaries
    return frame
