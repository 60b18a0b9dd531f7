"""The returned video: each picture as it comes, with the newest map and caption drawn into it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Generic, Protocol, TypeVar

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from inference.explanations import Map
from stream.video.frame import Frame, Slot
from stream.video.heatmap_overlay import HeatOverlay
from stream.video.overlay import CaptionOverlay, Subtitle

Drawing = TypeVar("Drawing")


_Prepared = TypeVar("_Prepared", contravariant=True)


class AnnotatedTrack(MediaStreamTrack):
    """A video track that never waits for a caption or a map: it draws what there is."""

    kind = "video"

    def __init__(
        self,
        frames: Slot[Frame],
        subtitle: Callable[[], Subtitle],
        heat: Callable[[], Map | None],
        painting: Executor,
        preparing: Executor,
    ) -> None:
        """Return `frames`, each with what `heat` and `subtitle` say then.

        Args:
            frames: The pictures, newest first.
            subtitle: What to write.
            heat: The map to draw under it; None for none.
            painting: Draws, a millisecond or so a picture.
            preparing: Prepares each new caption and map, some milliseconds; no picture waits for
                it.
        """
        super().__init__()
        self._frames, self._painting = frames, painting
        self._captions, self._heats = CaptionOverlay(), HeatOverlay()
        self._subtitle = _Newest(subtitle, self._captions, preparing, Subtitle(""))
        self._heat = _Newest(heat, self._heats, preparing, None)
        self.returned = 0

    async def recv(self) -> av.VideoFrame:
        """Wait for the next picture and return a copy of it with the map and the caption.

        Raises:
            MediaStreamError: If the track was stopped.
        """
        if self.readyState != "live":
            raise MediaStreamError
        image = (await self._frames.take()).image
        size = image.width, image.height
        drawn = await asyncio.get_running_loop().run_in_executor(
            self._painting, self._draw, image, self._heat.get(*size), self._subtitle.get(*size)
        )
        self.returned += 1
        return drawn

    def _draw(self, image: av.VideoFrame, heat: Map | None, subtitle: Subtitle) -> av.VideoFrame:
        return self._captions.draw(self._heats.draw(image, heat), subtitle)


class _Overlay(Protocol[_Prepared]):
    """What draws, once it has prepared what is to be drawn."""

    def is_prepared(self, wanted: _Prepared, width: int, height: int, /) -> bool: ...

    def prepare(self, wanted: _Prepared, width: int, height: int, /) -> None: ...


class _Newest(Generic[Drawing]):
    """What to draw now: what is wanted, or what was drawn before while that is prepared."""

    def __init__(
        self,
        wanted: Callable[[], Drawing],
        overlay: _Overlay[Drawing],
        executor: Executor,
        drawn: Drawing,
    ) -> None:
        self._wanted, self._overlay, self._executor = wanted, overlay, executor
        self._drawn = drawn
        self._preparing: asyncio.Future[None] | None = None

    def get(self, width: int, height: int) -> Drawing:
        wanted = self._wanted()
        if wanted == self._drawn or self._overlay.is_prepared(wanted, width, height):
            self._drawn = wanted
        elif self._preparing is None or self._preparing.done():
            loop = asyncio.get_running_loop()
            self._preparing = loop.run_in_executor(
                self._executor, self._overlay.prepare, wanted, width, height
            )
        return self._drawn
