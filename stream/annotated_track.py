"""The returned video: each picture as it comes, with the newest caption drawn into it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from stream.frame import Frame
from stream.overlay import CaptionOverlay, Subtitle
from stream.slot import Slot


class AnnotatedTrack(MediaStreamTrack):
    """A video track that never waits for a caption: it draws what there is."""

    kind = "video"

    def __init__(
        self,
        frames: Slot[Frame],
        subtitle: Callable[[], Subtitle],
        painting: Executor,
        typesetting: Executor,
    ) -> None:
        """Return `frames`, each with what `subtitle` says then.

        Args:
            frames: The pictures, newest first.
            subtitle: What to draw.
            painting: Draws, a fraction of a millisecond a picture.
            typesetting: Prepares each new caption, some milliseconds; no picture waits for it.
        """
        super().__init__()
        self._frames, self._subtitle = frames, subtitle
        self._painting, self._typesetting = painting, typesetting
        self._overlay = CaptionOverlay()
        self._drawn = Subtitle("")
        self._preparing: asyncio.Future[None] | None = None
        self.returned = 0

    async def recv(self) -> av.VideoFrame:
        """Wait for the next picture and return a copy of it with the caption.

        Raises:
            MediaStreamError: If the track was stopped.
        """
        if self.readyState != "live":
            raise MediaStreamError
        image = (await self._frames.take()).image
        self._drawn = self._newest_prepared(image.width, image.height)
        loop = asyncio.get_running_loop()
        drawn = await loop.run_in_executor(self._painting, self._overlay.draw, image, self._drawn)
        self.returned += 1
        return drawn

    def _newest_prepared(self, width: int, height: int) -> Subtitle:
        """What to draw now: the wanted subtitle, or the one before while that is prepared."""
        wanted = self._subtitle()
        if wanted == self._drawn or self._overlay.is_prepared(wanted, width, height):
            return wanted
        if self._preparing is None or self._preparing.done():
            loop = asyncio.get_running_loop()
            self._preparing = loop.run_in_executor(
                self._typesetting, self._overlay.prepare, wanted, width, height
            )
        return self._drawn
