"""Captions and explanations of single images that programs send, beside the live streams.

The live streams go first.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.captioning import Caption, FrameRequest
from inference.engine import EngineInfo, EngineUnavailable, ExplanationResult
from inference.explanations import Target
from stream.analyses import RequestError, request_errors
from stream.context import StreamContext
from stream.load import LoadLevel
from stream.quota import Owner, Quota, QuotaExceeded, Turns
from stream.sources import decode_image

_MAX_REQUESTS = 16
"""Requests at once, from the first byte of their image to their caption. One has a turn; the others
are being received, or wait."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class ImageCaption:
    """An image and its caption."""

    image: NDArray[np.uint8]
    """RGB, uint8 [H, W, 3], upright; scaled down if it has more pixels than a frame may have."""
    caption: Caption
    tokens: tuple[int, ...]
    """Of the whole caption, see `StreamState.tokens`."""


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

    async def caption(self, data: bytes, *, maps: bool = False) -> ImageCaption:
        """Caption an image file: JPEG, PNG, WebP, HEIC, ...; of an animation the first frame.

        Args:
            data: The file.
            maps: Whether the caption is to have maps, if the captioner computes them with captions.

        Raises:
            SourceError: If it is not an image, cannot be decoded, or is too large to be decoded.
            EngineUnavailable: If it cannot be captioned now.
        """
        settings, info = self._context.settings, self._info()

        def decode() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
            image = decode_image(data, "the image", settings.frame_pixels)
            return image, info.resizing.apply(image)

        image, resized = await self.run(decode)
        request = FrameRequest(resized, maps=maps, background=True)
        result = await self._context.caption_service.caption_frame(request, settings.beam_width)
        return ImageCaption(image, result.caption, result.state.tokens)

    async def explain(
        self, captioned: ImageCaption, method: str, target: Target, owner: Owner
    ) -> ExplanationResult:
        """Explain an image's caption, within the limits of explanations that viewers request.

        Args:
            captioned: The image with its caption.
            method: Name of one of the captioner's methods.
            target: What to explain.
            owner: Whose explanation it is.

        Raises:
            QuotaExceeded: If the limit of explanations at once is reached.
            RequestError: If it fails for a known reason, such as a method that cannot explain this.
        """
        limits = self._context.limits

        async def take_requests(count: int) -> None:
            try:
                await limits.take_requests(owner, count)
            except QuotaExceeded as error:
                raise RequestError("limit-reached", f"not explained: {error}") from error

        timeout_s = self._context.settings.explanation_s
        async with limits.explanation(owner), request_errors("cannot-explain", timeout_s):
            info = self._info()
            image = await self.run(lambda: info.resizing.apply(captioned.image))
            return await self._context.caption_service.explain(
                image, captioned.tokens, method, target, before_requests=take_requests
            )

    def _info(self) -> EngineInfo:
        service = self._context.caption_service
        if service.info is None:
            raise EngineUnavailable(service.message)
        return service.info

    def close(self) -> None:
        """Release the thread, once it has decoded its current image."""
        self._executor.shutdown(wait=False, cancel_futures=True)
