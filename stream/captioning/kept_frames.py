"""The pictures of a stream's last captions, kept so that they can be studied.

What a stream showed lately, as the captioner saw it: where concepts can be sought.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Generic, TypeVar

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from models.preprocessing import squeeze
from stream.captioning.stream_captioner import CaptionedFrame
from stream.video import converted

KEPT = 4
"""Captions whose pictures are kept, besides those that are frozen."""

_JPEG_QUALITY = 90

Result = TypeVar("Result")


class FrameGone(LookupError):
    """The picture is not kept any more, or never was."""


class _Once(Generic[Result]):
    """What is computed in an executor when it is first asked for, and then kept."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._future: asyncio.Future[Result] | None = None

    async def get(self, compute: Callable[..., Result], *arguments: object) -> Result:
        if self._future is None:
            loop = asyncio.get_running_loop()
            self._future = loop.run_in_executor(self._executor, compute, *arguments)
        # One that gives up must not take it from the others.
        return await asyncio.shield(self._future)


class KeptFrame:
    """A caption with its picture."""

    def __init__(self, seq: int, captioned: CaptionedFrame, executor: Executor) -> None:
        """Keep the picture by reference; the executor converts it if it is asked for."""
        self.seq, self.captioned = seq, captioned
        self._picture: _Once[NDArray[np.uint8]] = _Once(executor)
        self._jpeg: _Once[bytes] = _Once(executor)

    async def picture(self, side: int) -> NDArray[np.uint8]:
        """Give what the captioner sees of the picture: RGB, uint8 [side, side, 3]."""
        return await self._picture.get(_squeezed, self.captioned.frame.image, side)

    async def jpeg(self) -> bytes:
        """Give the whole picture as a JPEG."""
        return await self._jpeg.get(_as_jpeg, self.captioned.frame.image)


class KeptFrames:
    """The pictures of a stream's last few captions: no more, ever."""

    def __init__(self, executor: Executor) -> None:
        """Start with none; the executor converts those that are asked for."""
        self._executor = executor
        self._recent: list[KeptFrame] = []

    def keep(self, seq: int, captioned: CaptionedFrame) -> KeptFrame:
        """Keep the newest caption's picture, in place of the oldest."""
        newest = KeptFrame(seq, captioned, self._executor)
        self._recent = [*self._recent, newest][-KEPT:]
        return newest

    def newest(self) -> KeptFrame:
        """Give the newest caption's picture.

        Raises:
            FrameGone: If there is none yet.
        """
        if not self._recent:
            raise FrameGone("there is no captioned picture yet")
        return self._recent[-1]

    def find(self, seq: int) -> KeptFrame:
        """Find a caption's picture.

        Raises:
            FrameGone: If it is kept no more.
        """
        for kept in self._recent:
            if kept.seq == seq:
                return kept
        raise FrameGone(
            f"the picture of caption {seq} is not kept any more: "
            f"freeze one of the last {KEPT} captions to study it"
        )

    def clear(self) -> None:
        """Let all go."""
        self._recent = []


class StudiedFrames:
    """The pictures that one client may study: the stream's last few, and the one it has frozen."""

    def __init__(self, recent: KeptFrames) -> None:
        """Start with none frozen."""
        self._recent = recent
        self._frozen: KeptFrame | None = None

    def freeze(self, seq: int) -> None:
        """Keep a caption's picture until another is frozen, or it is released.

        Raises:
            FrameGone: If it is kept no more.
        """
        self._frozen = self.find(seq)

    def release(self) -> None:
        """Let the frozen picture go."""
        self._frozen = None

    def find(self, seq: int) -> KeptFrame:
        """Find a caption's picture.

        Raises:
            FrameGone: If it is kept no more.
        """
        if self._frozen and self._frozen.seq == seq:
            return self._frozen
        return self._recent.find(seq)


def _squeezed(image: av.VideoFrame, side: int) -> NDArray[np.uint8]:
    return squeeze(np.asarray(converted(image, "rgb24").to_ndarray(), np.uint8), side)


def _as_jpeg(image: av.VideoFrame) -> bytes:
    pixels = converted(image, "bgr24").to_ndarray()
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return bytes(encoded)
