"""The sampler: the newest picture, every interval, to the captioner."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Executor

from inference.engine import CaptionService, EngineUnavailable
from stream.captioning.stillness import RecentPictures
from stream.captioning.stream_captioner import CaptionedFrame, StreamCaptioner
from stream.video import Frame, Slot


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
        maps: Callable[[], bool] = lambda: False,
        pictures: RecentPictures | None = None,
        stretch: Callable[[], float] = lambda: 1.0,
    ) -> None:
        """Caption `frames` and hand each caption to `publish`, preparing in the executor.

        `maps` is asked of each picture whether its caption is to come with maps; `pictures` is
        offered those that show something new; `stretch` says by how much the interval is longer
        than it is set to be.
        """
        self._frames, self._captions, self._publish = frames, captions, publish
        self._captioner = StreamCaptioner(captions, executor, pictures)
        self._interval_s = interval_s
        self._changed = asyncio.Event()
        self._maps, self._stretch = maps, stretch
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
                captioned = await self._captioner.caption(
                    frame, last, self.beam_width, maps=self._maps()
                )
                self._publish(captioned)

    async def _wait_until_due(self, last: float) -> None:
        while (left := last + self._interval_s * self._stretch() - time.monotonic()) > 0:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                return
