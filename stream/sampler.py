"""The sampler: the newest picture, every interval, to the captioner."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from inference.caption import Caption
from inference.engine import EngineUnavailable
from models.pictures import squeeze
from stream.caption_service import CaptionService
from stream.frame import Frame
from stream.slot import Slot


@dataclass(frozen=True, slots=True)
class CaptionedFrame:
    """A caption and the picture that it speaks of."""

    frame: Frame
    caption: Caption
    prepare_ms: float
    """Colour conversion and squeezing."""
    wait_ms: float
    """In line for the captioner, and on the way to it and back."""


class Sampler:
    """Captions one feed, one picture at a time, by the clock.

    The next picture is taken an interval after the last one was, or at once when captioning took
    longer than that: a slow captioner means fewer captions, never older ones.
    """

    def __init__(
        self,
        frames: Slot[Frame],
        captions: CaptionService,
        publish: Callable[[CaptionedFrame], None],
        executor: Executor,
        interval_s: float,
        beam_width: int | None,
    ) -> None:
        """Caption `frames` and hand each caption to `publish`, preparing in the executor."""
        self._frames, self._captions, self._publish = frames, captions, publish
        self._executor = executor
        self._interval_s = interval_s
        self._changed = asyncio.Event()
        self.beam_width = beam_width

    @property
    def interval_s(self) -> float:
        """Seconds from one sampled picture to the next; a change takes effect at once."""
        return self._interval_s

    @interval_s.setter
    def interval_s(self, seconds: float) -> None:
        self._interval_s = seconds
        self._changed.set()

    async def run(self) -> None:
        """Sample until cancelled."""
        last = float("-inf")
        while True:
            await self._wait_until_due(last)
            await self._captions.wait_ready()
            frame = await self._frames.take()
            last = time.monotonic()
            # A picture that the captioner lost is not worth a second try: a newer one waits.
            with contextlib.suppress(EngineUnavailable):
                captioned = await caption_frame(
                    frame, self._captions, self._executor, self.beam_width
                )
                self._publish(captioned)

    async def _wait_until_due(self, last: float) -> None:
        while (left := last + self._interval_s - time.monotonic()) > 0:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                return


async def caption_frame(
    frame: Frame, captions: CaptionService, executor: Executor, beam_width: int | None
) -> CaptionedFrame:
    """Caption one picture, preparing it in the executor.

    Raises:
        EngineUnavailable: If it cannot be captioned now.
    """
    info = captions.info
    if info is None:
        raise EngineUnavailable("the captioner was never ready")
    begun = time.perf_counter()
    loop = asyncio.get_running_loop()
    image = await loop.run_in_executor(executor, _prepare, frame.image, info.image_size)
    prepared = time.perf_counter()
    caption = await captions.caption(image, beam_width)
    asked_ms = (time.perf_counter() - prepared) * 1e3
    computed_ms = caption.timing_ms.encoder + caption.timing_ms.decoder
    return CaptionedFrame(
        frame=frame,
        caption=caption,
        prepare_ms=(prepared - begun) * 1e3,
        wait_ms=max(0.0, asked_ms - computed_ms),
    )


def _prepare(image: av.VideoFrame, side: int) -> NDArray[np.uint8]:
    pixels = np.asarray(image.to_ndarray(format="rgb24"), np.uint8)
    return squeeze(pixels, side)
