"""A captioner of pool replicas that takes a given time for a caption. Needs no TensorFlow."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inference.captioner_config import CaptionerConfig
from inference.captioning import FrameRequest, FrameResult
from inference.engine import EngineState, EngineUnavailable
from tests.support.captions import ScriptedCaptions, confident_caption

_LOST = 255
"""First value of the image on which the captioner is lost, as if its process had exited."""


def timed_image(seconds: float, side: int = 8) -> NDArray[np.uint8]:
    """Return an image that takes so long to be captioned, in steps of 10 ms."""
    return np.full((side, side, 3), round(seconds * 100), np.uint8)


LOSING_IMAGE: NDArray[np.uint8] = np.full((8, 8, 3), _LOST, np.uint8)


class TimedCaptions(ScriptedCaptions):
    """Captions one image at a time, for as long as the image says.

    The tokens of a stream's state count its captions, whichever replica answered.
    """

    def __init__(self) -> None:
        """Create it, ready."""
        super().__init__(confident_caption("A dog runs"))
        self._turn = asyncio.Lock()
        self._listeners: set[Callable[[], None]] = set()

    def start(self) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Do nothing."""

    async def wait_loaded(self) -> None:
        """Return at once."""

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a listener when the captioner is lost."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    async def caption_frame(self, request: FrameRequest, beam_width: int | None) -> FrameResult:
        """Caption an image, or lose the captioner."""
        value = int(request.image[0, 0, 0])
        if value == _LOST:
            self.state, self.message = EngineState.PAUSED, "The captioner stopped."
            for listener in self._listeners:
                listener()
            raise EngineUnavailable(self.message)
        async with self._turn:
            await asyncio.sleep(value / 100)
        caption, state = await super().caption_frame(request, beam_width)
        count = request.state.tokens[0] + 1 if request.state else 1
        return FrameResult(caption, replace(state, tokens=(count,)))


@dataclass(frozen=True, slots=True)
class TimedCaptioner(CaptionerConfig):
    """The choice of this captioner."""

    def create(  # type: ignore[override]
        self, *, explains: bool = True, standby: bool = False, max_failures: int | None = None
    ) -> TimedCaptions:
        """Create the service."""
        return TimedCaptions()
