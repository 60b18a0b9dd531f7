"""Frames of a stream's last captions, kept for explanations, analyses and JPEG downloads."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Generic, TypeVar

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from inference.engine import EngineInfo
from stream.captioning.stream_captioner import CaptionedFrame, captioner_image, frame_pixels
from stream.video import convert_frame

MAX_KEPT_FRAMES = 4
"""Captions whose frames are kept, besides frozen ones."""

_JPEG_QUALITY = 90
_SMALL_SIDE, _SMALL_QUALITY = 384, 60
"""Of small pictures: the longest side in pixels, and WebP's quality, 0..100."""

Result = TypeVar("Result")


class FrameNotFound(LookupError):
    """The frame of a caption is not kept, or there is no such caption."""


class KeptFrame:
    """A captioned frame with its number, and conversions that are computed once, on demand."""

    def __init__(self, seq: int, captioned: CaptionedFrame, executor: Executor) -> None:
        """Keep a reference to the frame; the executor converts it."""
        self.seq, self.captioned = seq, captioned
        self._image: _Lazy[NDArray[np.uint8]] = _Lazy(executor)
        self._pixels: _Lazy[NDArray[np.uint8]] = _Lazy(executor)
        self._jpeg: _Lazy[bytes] = _Lazy(executor)
        self._small: _Lazy[bytes] = _Lazy(executor)

    async def image(self, info: EngineInfo) -> NDArray[np.uint8]:
        """Return the image that the captioner takes, see `EngineInfo.resizing`."""
        return await self._image.get(captioner_image, self.captioned.frame.image, info)

    async def pixels(self) -> NDArray[np.uint8]:
        """Return the whole frame, RGB, uint8 [H, W, 3]."""
        return await self._pixels.get(frame_pixels, self.captioned.frame.image)

    async def jpeg(self) -> bytes:
        """Return the whole frame as a JPEG."""
        return await self._jpeg.get(_encode_jpeg, self.captioned.frame.image)

    async def small_picture(self) -> bytes:
        """Return the whole frame as a WebP whose longest side has at most 384 pixels."""
        return await self._small.get(_encode_small, self.captioned.frame.image)


class KeptFrames:
    """The frames of a stream's last `MAX_KEPT_FRAMES` captions."""

    def __init__(self, executor: Executor) -> None:
        """Start empty; the executor converts frames on demand."""
        self._executor = executor
        self._frames: list[KeptFrame] = []

    def keep(self, seq: int, captioned: CaptionedFrame) -> KeptFrame:
        """Keep the newest caption's frame in place of the oldest, and return it."""
        newest = KeptFrame(seq, captioned, self._executor)
        self._frames = [*self._frames, newest][-MAX_KEPT_FRAMES:]
        return newest

    def newest(self) -> KeptFrame:
        """Return the frame of the newest caption.

        Raises:
            FrameNotFound: If there is no caption yet.
        """
        if not self._frames:
            raise FrameNotFound("no frame has been captioned yet")
        return self._frames[-1]

    def find(self, seq: int) -> KeptFrame:
        """Return the frame of a caption.

        Raises:
            FrameNotFound: If it is not kept.
        """
        for kept in self._frames:
            if kept.seq == seq:
                return kept
        raise FrameNotFound(
            f"the frame of caption {seq} is no longer kept; freeze one of the last "
            f"{MAX_KEPT_FRAMES} captions"
        )

    def clear(self) -> None:
        """Drop all frames."""
        self._frames = []


class ClientFrames:
    """The frames that one client can request: the stream's last ones, and the one it has frozen."""

    def __init__(self, stream_frames: KeptFrames) -> None:
        """Start without a frozen frame."""
        self._stream_frames = stream_frames
        self._frozen: KeptFrame | None = None

    def freeze(self, seq: int) -> None:
        """Keep a caption's frame until it is released or another is frozen.

        Raises:
            FrameNotFound: If it is not kept.
        """
        self._frozen = self.find(seq)

    def release(self) -> None:
        """Drop the frozen frame."""
        self._frozen = None

    def find(self, seq: int) -> KeptFrame:
        """Return the frame of a caption.

        Raises:
            FrameNotFound: If it is not kept.
        """
        if self._frozen and self._frozen.seq == seq:
            return self._frozen
        return self._stream_frames.find(seq)


class _Lazy(Generic[Result]):
    """A value that is computed in an executor on the first request, and then kept."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._future: asyncio.Future[Result] | None = None

    async def get(self, compute: Callable[..., Result], *arguments: object) -> Result:
        if self._future is None:
            loop = asyncio.get_running_loop()
            self._future = loop.run_in_executor(self._executor, compute, *arguments)
        # Shielded, so that one caller that is cancelled does not cancel the others.
        return await asyncio.shield(self._future)


def _encode_jpeg(image: av.VideoFrame) -> bytes:
    pixels = convert_frame(image, "bgr24").to_ndarray()
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return bytes(encoded)


def _encode_small(image: av.VideoFrame) -> bytes:
    pixels = convert_frame(image, "bgr24").to_ndarray()
    height, width = pixels.shape[:2]
    scale = min(1.0, _SMALL_SIDE / max(width, height))
    size = (max(1, round(scale * width)), max(1, round(scale * height)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".webp", small, [cv2.IMWRITE_WEBP_QUALITY, _SMALL_QUALITY])
    return bytes(encoded)
