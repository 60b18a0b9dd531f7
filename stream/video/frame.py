"""A picture on its way through a session.

The one place between two stages of the live path: newest wins.

The pixels of a yuv420p video frame, as numpy sees them.

Pictures in another size or pixel format, with nothing left behind.

PyAV keeps FFmpeg's converter with each frame that was converted, for as long as the frame lives:
some memory, and a thread for each core. Here a thread of ours has one for each kind of conversion.

Mixing colours into the samples of a plane, prepared once and then applied to each frame.
"""

import asyncio
import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import Generic, TypeVar

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

Item = TypeVar("Item")

Plane = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture; its buffer is shared and must never be written to."""

    image: av.VideoFrame
    captured: float
    """When the server had it, Unix time in seconds."""


class Slot(Generic[Item]):
    """Holds one item at most; what a newer one replaces is lost, and counted.

    For one consumer, on the event loop.
    """

    replaced: int
    """Items that were never taken."""

    def __init__(self) -> None:
        """Make an empty slot."""
        self.replaced = 0
        self._items: list[Item] = []
        self._filled = asyncio.Event()

    def put(self, item: Item) -> None:
        """Put the newest item in, in place of what is there."""
        self.replaced += len(self._items)
        self._items = [item]
        self._filled.set()

    async def take(self) -> Item:
        """Wait for an item that was not taken before, and take it."""
        await self._filled.wait()
        self._filled.clear()
        return self._items.pop()


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


class _Converters(threading.local):
    """What was made for a kind of conversion it does at once; for another it is made anew."""

    def __init__(self) -> None:
        """Begin with none, in each thread."""
        self.of: defaultdict[object, VideoReformatter] = defaultdict(VideoReformatter)


_converters = _Converters()


def converted(
    frame: av.VideoFrame,
    pixel_format: str,
    size: tuple[int, int] | None = None,
    interpolation: Interpolation = Interpolation.BILINEAR,
) -> av.VideoFrame:
    """Convert a frame, which is only read.

    Args:
        frame: Of any size and format.
        pixel_format: By FFmpeg's name.
        size: Width and height; the frame's own when None.
        interpolation: How a size is changed.

    Returns:
        A new frame; the frame itself if it is as it is to be.
    """
    width, height = size or (frame.width, frame.height)
    converter = _converters.of[pixel_format, size is None, interpolation]
    return converter.reformat(frame, width, height, pixel_format, interpolation=interpolation)


@dataclass(frozen=True, slots=True)
class Mixture:
    """What becomes of the samples of some rows of a plane: (sample * keep + add) / 256.

    Attributes:
        keep: uint16 [rows, width], from 0 to 256.
        add: uint16 [rows, width], the drawn colour's part and one half for rounding.
        product: uint16 [rows, width], scratch space.
    """

    keep: NDArray[np.uint16]
    add: NDArray[np.uint16]
    product: NDArray[np.uint16]

    def apply(self, source: Plane, target: Plane) -> None:
        """Mix into the source's rows, writing to the target's."""
        np.multiply(source, self.keep, out=self.product)
        np.add(self.product, self.add, out=self.product)
        np.right_shift(self.product, 8, out=self.product)
        target[:] = self.product
