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
        self, frames: Slot[Frame], subtitle: Callable[[], Subtitle], executor: Executor
    ) -> None:
        """Return `frames`, each with what `subtitle` says then, drawn in the executor."""
        super().__init__()
        self._frames, self._subtitle, self._executor = frames, subtitle, executor
        self._overlay = CaptionOverlay()
        self.returned = 0

    async def recv(self) -> av.VideoFrame:
        """Wait for the next picture and return a copy of it with the caption.

        Raises:
            MediaStreamError: If the track was stopped.
        """
        if self.readyState != "live":
            raise MediaStreamError
        frame = await self._frames.take()
        loop = asyncio.get_running_loop()
        drawn = await loop.run_in_executor(
            self._executor, self._overlay.draw, frame.image, self._subtitle()
        )
        self.returned += 1
        return drawn
