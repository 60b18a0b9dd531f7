"""The sampler: takes a stream's newest frame at each interval and captions it."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Executor

from inference.engine import CaptionService, EngineUnavailable
from stream.captioning.stillness import RecentFrames
from stream.captioning.stream_captioner import CaptionedFrame, StreamCaptioner
from stream.video import Frame, Slot


class Sampler:
    """Captions the newest frames of one stream, one at a time, by the wall clock.

    It takes a frame one interval after the last one, or at once when captioning took longer: a
    slow captioner leads to fewer captions, not to older ones.
    """

    def __init__(
        self,
        frames: Slot[Frame],
        caption_service: CaptionService,
        publish: Callable[[CaptionedFrame], None],
        executor: Executor,
        interval_s: float,
        beam_width: int | None,
        maps_due: Callable[[], bool] = lambda: False,
        recent_frames: RecentFrames | None = None,
        interval_factor: Callable[[], float] = lambda: 1.0,
    ) -> None:
        """Prepare to sample a stream.

        Args:
            frames: The newest frame of the stream.
            caption_service: Captions the frames.
            publish: Called with each captioned frame.
            executor: Prepares frames for the captioner.
            interval_s: Seconds from one sampled frame to the next.
            beam_width: Beam width of the search; the captioner's own when None.
            maps_due: Returns whether the next caption must come with maps.
            recent_frames: Collects the frames that show something new.
            interval_factor: Returns the factor by which the interval is longer than configured.
        """
        self._frames, self._caption_service, self._publish = frames, caption_service, publish
        self._captioner = StreamCaptioner(caption_service, executor, recent_frames)
        self._interval_s = interval_s
        self._interval_changed = asyncio.Event()
        self._maps_due, self._interval_factor = maps_due, interval_factor
        self.beam_width = beam_width

    @property
    def interval_s(self) -> float:
        """Seconds from one sampled frame to the next; a change takes effect at once."""
        return self._interval_s

    @interval_s.setter
    def interval_s(self, seconds: float) -> None:
        self._interval_s = seconds
        self._interval_changed.set()

    async def run(self) -> None:
        """Sample until cancelled."""
        last_s = float("-inf")
        while True:
            await self._wait_until_due(last_s)
            await self._caption_service.wait_ready()
            frame = await self._frames.take()
            last_s = time.monotonic()
            # If the engine fails, this frame is dropped: a newer one is available by then.
            with contextlib.suppress(EngineUnavailable):
                captioned = await self._captioner.caption(
                    frame, last_s, self.beam_width, maps=self._maps_due()
                )
                self._publish(captioned)

    async def _wait_until_due(self, last_s: float) -> None:
        while (
            left_s := last_s + self._interval_s * self._interval_factor() - time.monotonic()
        ) > 0:
            self._interval_changed.clear()
            try:
                await asyncio.wait_for(self._interval_changed.wait(), left_s)
            except TimeoutError:
                return
