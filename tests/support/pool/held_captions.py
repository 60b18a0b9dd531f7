"""A captioner of pool replicas whose captions a test holds back. Needs no TensorFlow."""

import asyncio
from collections.abc import Callable
from typing import Any

from inference.captioning import FrameRequest, FrameResult
from tests.support.captions import ScriptedCaptions, confident_caption


class HeldCaptions(ScriptedCaptions):
    """Captions only when a test allows it."""

    def __init__(self) -> None:
        """Hold all captions back until `finish` is set."""
        super().__init__(confident_caption("A dog runs"))
        self.begun, self.cancelled = 0, 0
        self.finish = asyncio.Event()
        self.requests: list[FrameRequest] = []

    async def caption_frame(self, request: FrameRequest, beam_width: int | None) -> FrameResult:
        """Caption once `finish` is set."""
        self.begun += 1
        self.requests.append(request)
        try:
            await self.finish.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return await super().caption_frame(request, beam_width)


async def until(condition: Callable[[], Any]) -> None:
    """Wait until a condition is true."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)
