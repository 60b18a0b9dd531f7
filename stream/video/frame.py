"""Video frames: the newest-wins slot between two stages, conversion, and access to YUV samples."""

import asyncio
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from stream.clock import boottime

Item = TypeVar("Item")

Plane = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded frame; its buffer is shared and must never be written to."""

    image: av.VideoFrame
    captured: float = field(default_factory=time.time)
    """When it was captured, as far as is known, in seconds since the Unix epoch; by default now."""
    captured_boottime: float = field(default_factory=boottime)
    """The same time on the clock `boottime`, for its age."""
    held_back_s: float = 0.0
    """How long the network or the peer held it back before the server received it, in seconds."""
    note: str = ""
    """What its source states about it, for viewers; empty for nothing."""

    @property
    def received_boottime(self) -> float:
        """When the server received it, on the clock `boottime`."""
        return self.captured_boottime + self.held_back_s


class Slot(Generic[Item]):
    """Holds the newest item: an item that was not taken yet is replaced and counted.

    For one consumer, on the event loop.
    """

    replaced: int
    """Items that were replaced before they were taken."""

    def __init__(self) -> None:
        """Start empty."""
        self.replaced = 0
        self._items: list[Item] = []
        self._filled = asyncio.Event()

    def put(self, item: Item) -> None:
        """Put in an item, in place of one that was not taken."""
        self.replaced += len(self._items)
        self._items = [item]
        self._filled.set()

    async def take(self) -> Item:
        """Wait for an item and remove it."""
        await self._filled.wait()
        self._filled.clear()
        return self._items.pop()


class _Reformatters(threading.local):
    """The reformatters of a thread, one for each kind of conversion.

    A reformatter reuses FFmpeg's converter as long as the kind of conversion stays the same.
    `VideoFrame.reformat` would keep a converter with each converted frame for as long as the frame
    lives: some memory, and a thread per core.
    """

    def __init__(self) -> None:
        """Start without reformatters, in each thread."""
        self.by_kind: defaultdict[object, VideoReformatter] = defaultdict(VideoReformatter)


_reformatters = _Reformatters()


def convert_frame(
    frame: av.VideoFrame,
    pixel_format: str,
    size: tuple[int, int] | None = None,
    interpolation: Interpolation = Interpolation.BILINEAR,
) -> av.VideoFrame:
    """Convert a frame to another pixel format or size.

    Args:
        frame: Of any size and pixel format; it is only read.
        pixel_format: FFmpeg's name of the format.
        size: Width and height in pixels; the frame's own by default.
        interpolation: How the frame is resized.

    Returns:
        A new frame; the frame itself if nothing needs to change.
    """
    width, height = size or (frame.width, frame.height)
    reformatter = _reformatters.by_kind[pixel_format, size is None, interpolation]
    return reformatter.reformat(
        frame, width, height, pixel_format, interpolation=interpolation, threads=1
    )


def yuv_planes(frame: av.VideoFrame) -> tuple[Plane, Plane, Plane]:
    """Return the Y, U and V planes of a yuv420p frame as views into its memory.

    Writing into a view writes into the frame. A decoder may use a frame that it returned as the
    reference of later frames, so write only into frames made by `blank_frame`.

    Returns:
        uint8 [height, width], and twice uint8 [ceil(height / 2), ceil(width / 2)], without the
        bytes that pad each line.

    Raises:
        ValueError: If the frame has another pixel format.
    """
    if frame.format.name != "yuv420p":
        raise ValueError(f"expected a yuv420p frame, got {frame.format.name}; convert it first")
    y, u, v = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, : plane.width]
        for plane in frame.planes
    )
    return y, u, v


def blank_frame(width: int, height: int, like: av.VideoFrame | None = None) -> av.VideoFrame:
    """Create a yuv420p frame with uninitialised samples.

    Args:
        width: In pixels.
        height: In pixels.
        like: A frame whose timestamps and colour description are copied.
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


@dataclass(frozen=True, slots=True)
class Blend:
    """A colour layer to blend into the samples of a plane: (sample * keep + add) / 256.

    It is computed once and applied to many frames.

    Attributes:
        keep: uint16 [rows, width], 0..256.
        add: uint16 [rows, width], the weighted colour plus one half for rounding.
        product: uint16 [rows, width], scratch space.
    """

    keep: NDArray[np.uint16]
    add: NDArray[np.uint16]
    product: NDArray[np.uint16]

    def apply(self, source: Plane, target: Plane) -> None:
        """Blend the layer into the source, and write the result to the target."""
        np.multiply(source, self.keep, out=self.product)
        np.add(self.product, self.add, out=self.product)
        np.right_shift(self.product, 8, out=self.product)
        target[:] = self.product
