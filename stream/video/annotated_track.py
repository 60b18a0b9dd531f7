"""The annotated video track: each frame with the newest caption and heat map drawn on it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from inference.explanations import Map
from stream.broadcast import Broadcast
from stream.video.caption_overlay import CaptionOverlay, OverlayText
from stream.video.cuts import CutDetector
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
    mode: ReturnedVideo
    """Can be changed at any time."""
    returned: int
    """Frames returned by `recv`."""
    text_top: float
    """Top of the text on the last frame, as a fraction of the frame's height; 1 without text."""
    cut_boottime: float
    """When the first frame of the current scene was captured, on the clock `boottime`; captions and
    maps of earlier frames are of another scene."""

    def __init__(
        self,
        frames: Slot[Frame],
        text: Callable[[], OverlayText],
        heatmap: Callable[[], Map | None],
        draw_executor: Executor,
        prepare_executor: Executor,
        mode: ReturnedVideo = "annotated",
    ) -> None:
        """Annotate a stream's frames.

        Args:
            frames: The newest frame.
            text: Returns the text to draw now, of the current scene.
            heatmap: Returns the heat map to draw under the text now, or None.
            draw_executor: Draws on frames, about a millisecond each.
            prepare_executor: Prepares each new text and map, some milliseconds each; frames are not
                held up meanwhile.
            mode: As the attribute.
        """
        super().__init__()
        self.mode = mode
        self._frames, self._draw_executor = frames, draw_executor
        self._caption_overlay, self._heatmap_overlay = CaptionOverlay(), HeatmapOverlay()
        self._text = _Newest(text, self._caption_overlay, prepare_executor, _NO_TEXT)
        self._heatmap = _Newest(heatmap, self._heatmap_overlay, prepare_executor, None)
        self._cuts = CutDetector()
        self.returned = 0
        self.text_top = 1.0
        self.text_tops: Broadcast[float] = Broadcast()
        """Publishes each change of `text_top`."""
        self.cut_boottime = float("-inf")

    @property
    def replaced(self) -> int:
        """Number of frames that newer ones replaced before they were returned."""
        return self._frames.replaced

    async def recv(self) -> av.VideoFrame:
        """Wait for the next frame, and return an annotated copy of it, scaled down if it is large.

        While the mode is `off`, frames are dropped and it waits.

        Raises:
            MediaStreamError: If the track was stopped.
        """
        if self.readyState != "live":
            raise MediaStreamError
        frame = await self._frames.take()
        while self.mode == "off":
            self._set_text_top(1.0)
            frame = await self._frames.take()
        size = _returned_size(frame.image)
        drawn = await asyncio.get_running_loop().run_in_executor(
            self._draw_executor,
            self._draw,
            frame,
            size,
            self._heatmap.get(*size),
            self._text.get(*size) if self.mode == "annotated" else _NO_TEXT,
        )
        if drawn.is_cut:
            self.cut_boottime = frame.captured_boottime
            self._text.reset()
            self._heatmap.reset()
        self._set_text_top(drawn.text_top)
        self.returned += 1
        return drawn.image

    def _set_text_top(self, text_top: float) -> None:
        if text_top != self.text_top:
            self.text_top = text_top
            self.text_tops.publish(text_top)

    def _draw(
        self, frame: Frame, size: tuple[int, int], heatmap: Map | None, text: OverlayText
    ) -> "_Drawn":
        image = frame.image
        if size != (image.width, image.height):
            image = convert_frame(image, "yuv420p", size)
        if self._cuts.is_cut(image, frame.captured_boottime):
            return _Drawn(image, text_top=1.0, is_cut=True)
        annotated = self._caption_overlay.draw(self._heatmap_overlay.draw(image, heatmap), text)
        return _Drawn(annotated, self._caption_overlay.top(text, *size), is_cut=False)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A frame of the annotated video."""

    image: av.VideoFrame
    text_top: float
    is_cut: bool


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
        self._prepared = self._initial = initial
        self._preparing: asyncio.Future[None] | None = None

    def reset(self) -> None:
        """Return the initial content until something else is prepared."""
        self._prepared = self._initial

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
