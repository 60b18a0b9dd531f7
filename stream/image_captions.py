"""Captions of single images that programs send, beside the live streams, which go first."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TypeVar

from inference.captioning import Caption, FrameRequest
from inference.engine import EngineUnavailable
from stream.context import StreamContext
from stream.load import LoadLevel
from stream.quota import Owner, Quota, QuotaExceeded, Turns
from stream.sources import decode_image

_MAX_REQUESTS = 16
"""Requests at once, from the first byte of their image to their caption. One has a turn; the others
are being received, or wait."""

Result = TypeVar("Result")


class ImageCaptions:
    """Captions images one at a time, so that the captioner has at most one of them in a batch.

    Requests are answered in their order, those of several addresses in turn.
    """

    def __init__(
        self, context: StreamContext, load_level: Callable[[], LoadLevel] | None = None
    ) -> None:
        """Caption with the service of the streams.

        Args:
            context: Settings and services of the server.
            load_level: Returns the load level of the streams; the context's by default.
        """
        self._context = context
        self._load_level = load_level or (lambda: context.load.level)
        self._quota = Quota(_MAX_REQUESTS, "caption requests")
        self._turns = Turns()
        self._executor = ThreadPoolExecutor(1, "image captions")

    def __len__(self) -> int:
        return len(self._quota)

    def admit(self, owner: Owner) -> AbstractContextManager[None]:
        """Count a request while the context lasts.

        Raises:
            QuotaExceeded: If the limit is reached, of the owner's address or of all, or the server
                is overloaded.
        """
        if self._load_level() >= LoadLevel.NO_NEW_SESSIONS:
            raise QuotaExceeded("the server is too busy with live captions")
        return self._quota.use(owner)

    def turn(self, owner: Owner) -> AbstractAsyncContextManager[None]:
        """Wait for a turn to use `run` and `caption`, and have it while the context lasts."""
        return self._turns.take(owner)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run a function in the thread that decodes images."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def caption(self, data: bytes) -> Caption:
        """Caption an image file: JPEG, PNG, WebP, HEIC, ...; of an animation the first frame.

        Raises:
            SourceError: If it is not an image, cannot be decoded, or is too large to be decoded.
            EngineUnavailable: If it cannot be captioned now.
        """
        settings, service = self._context.settings, self._context.caption_service
        info = service.info
        if info is None:
            raise EngineUnavailable(service.message)
        image = await self.run(
            lambda: info.resizing.apply(decode_image(data, "the image", settings.frame_pixels))
        )
        request = FrameRequest(image, maps=False, background=True)
        caption, _ = await service.caption_frame(request, settings.beam_width)
        return caption

    def close(self) -> None:
        """Release the thread, once it has decoded its current image."""
        self._executor.shutdown(wait=False, cancel_futures=True)
