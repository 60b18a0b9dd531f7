"""The annotated video track: each frame with the newest caption and heat map drawn on it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Generic, Literal, Protocol, TypeVar

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from inference.explanations import Map
from stream.video.caption_overlay import CaptionOverlay, OverlayText
from stream.video.frame import Frame, Slot, convert_frame
from stream.video.heatmap_overlay import HeatmapOverlay

_MAX_SIDE = 1920
"""Frames with a longer side are scaled down: they would take too long to draw on and to encode."""

ReturnedVideo = Literal["annotated", "plain", "off"]
"""What is returned: frames with caption and heat map; without the caption; or nothing, which costs
neither drawing nor encoding."""

_NO_TEXT = OverlayText("")

Content = TypeVar("Content")

_Content = TypeVar("_Content", contravariant=True)


class AnnotatedTrack(MediaStreamTrack):
    """A video track that draws what is prepared; it never waits for a caption or a map."""

    kind = "video"
    mode: ReturnedVideo = "annotated"
    """Can be changed at any time."""
    returned: int
    """Frames returned by `recv`."""

    def __init__(
        self,
        frames: Slot[Frame],
        text: Callable[[], OverlayText],
        heatmap: Callable[[], Map | None],
        draw_executor: Executor,
        prepare_executor: Executor,
    ) -> None:
        """Annotate a stream's frames.

        Args:
            frames: The newest frame.
            text: Returns the text to draw now.
            heatmap: Returns the heat map to draw under the text now, or None.
            draw_executor: Draws on frames, about a millisecond each.
            prepare_executor: Prepares each new text and map, some milliseconds each; frames are not
                held up meanwhile.
        """
        super().__init__()
        self._frames, self._draw_executor = frames, draw_executor
        self._caption_overlay, self._heatmap_overlay = CaptionOverlay(), HeatmapOverlay()
        self._text = _Newest(text, self._caption_overlay, prepare_executor, _NO_TEXT)
        self._heatmap = _Newest(heatmap, self._heatmap_overlay, prepare_executor, None)
        self.returned = 0

    async def recv(self) -> av.VideoFrame:
        """Wait for the next frame, and return an annotated copy of it, scaled down if it is large.

        While the mode is `off`, frames are dropped and it waits.

        Raises:
            MediaStreamError: If the track was stopped.
        """
        if self.readyState != "live":
            raise MediaStreamError
        image = (await self._frames.take()).image
        while self.mode == "off":
            image = (await self._frames.take()).image
        size = _returned_size(image)
        annotated = await asyncio.get_running_loop().run_in_executor(
            self._draw_executor,
            self._draw,
            image,
            size,
            self._heatmap.get(*size),
            self._text.get(*size) if self.mode == "annotated" else _NO_TEXT,
        )
        self.returned += 1
        return annotated

    def _draw(
        self, image: av.VideoFrame, size: tuple[int, int], heatmap: Map | None, text: OverlayText
    ) -> av.VideoFrame:
        if size != (image.width, image.height):
            image = convert_frame(image, "yuv420p", size)
        return self._caption_overlay.draw(self._heatmap_overlay.draw(image, heatmap), text)


def _returned_size(image: av.VideoFrame) -> tuple[int, int]:
    width, height = image.width, image.height
    scale = _MAX_SIDE / max(width, height)
    if scale >= 1:
        return width, height
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


class _Overlay(Protocol[_Content]):
    """An overlay whose content is prepared once for each frame size."""

    def is_prepared(self, content: _Content, width: int, height: int, /) -> bool: ...

    def prepare(self, content: _Content, width: int, height: int, /) -> None: ...


class _Newest(Generic[Content]):
    """The newest prepared content of an overlay; newer content is prepared in the background."""

    def __init__(
        self,
        current: Callable[[], Content],
        overlay: _Overlay[Content],
        executor: Executor,
        initial: Content,
    ) -> None:
        self._current, self._overlay, self._executor = current, overlay, executor
        self._prepared = initial
        self._preparing: asyncio.Future[None] | None = None

    def get(self, width: int, height: int) -> Content:
        current = self._current()
        if current == self._prepared or self._overlay.is_prepared(current, width, height):
            self._prepared = current
        elif self._preparing is None or self._preparing.done():
            loop = asyncio.get_running_loop()
            self._preparing = loop.run_in_executor(
                self._executor, self._overlay.prepare, current, width, height
            )
        return self._prepared
