"""Counters for the server's metrics, which include streams that have ended."""

import time
from collections.abc import Callable
from dataclasses import astuple, dataclass

from inference.histogram import Histogram
from stream.captioning import CaptionEvent

_CAPTION_AGE_BOUNDS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10)
_ENGINE_WAIT_BOUNDS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


@dataclass(frozen=True, slots=True)
class StreamTotals:
    """Number of frames at each stage of a stream; a stage drops frames that it has no time for."""

    received: int = 0
    """Frames received from the source."""
    drawn: int = 0
    """Frames that the caption was drawn on."""
    not_drawn: int = 0
    """Frames that newer ones replaced before they were drawn; all frames if there is no viewer."""
    not_captioned: int = 0
    """Frames that newer ones replaced before the sampler took one."""
    captions: int = 0
    """Captions published."""
    encoded: int = 0
    """Frames encoded once for all viewers of a shared video."""
    not_encoded: int = 0
    """Frames of a shared video that could not be drawn or encoded."""
    not_delivered: int = 0
    """Packets of a shared video that viewers lost because they were too slow."""

    def __add__(self, other: "StreamTotals") -> "StreamTotals":
        pairs = zip(astuple(self), astuple(other), strict=True)
        return StreamTotals(*(one + two for one, two in pairs))


class Counters:
    """Sums the totals of all streams and observes latencies; use it on the event loop."""

    unsent_captions: int
    """Captions not sent to a client because its channel was not open or full of older messages."""

    def __init__(self) -> None:
        """Start from zero."""
        self.unsent_captions = 0
        self._ended = StreamTotals()
        self._live: dict[object, Callable[[], StreamTotals]] = {}
        self.caption_ages_s = Histogram(_CAPTION_AGE_BOUNDS_S)
        """Age of the frame when its caption was published, in seconds."""
        self.engine_waits_s = Histogram(_ENGINE_WAIT_BOUNDS_S)
        """Time that a sampled frame waited for the captioner, in seconds."""

    @property
    def live_streams(self) -> int:
        """Number of streams that have not ended."""
        return len(self._live)

    @property
    def totals(self) -> StreamTotals:
        """Totals of all streams, live and ended."""
        return sum((totals() for totals in self._live.values()), self._ended)

    def add_stream(self, totals: Callable[[], StreamTotals]) -> Callable[[], None]:
        """Count a live stream.

        Args:
            totals: Returns the stream's totals so far.

        Returns:
            A function to call when the stream ends; calling it again has no effect.
        """
        key = object()
        self._live[key] = totals

        def end() -> None:
            if self._live.pop(key, None):
                self._ended += totals()

        return end

    def count_caption(self, event: CaptionEvent) -> None:
        """Observe the latencies of a caption as it is published."""
        self.caption_ages_s.observe(event.age_ms() / 1e3)
        if event.caption.timing_ms.encoder:
            self.engine_waits_s.observe(event.wait_ms / 1e3)


class FrameRates:
    """Frame rates of a client's video, each measured since the measurement before."""

    received_fps: float
    """Frames received per second."""
    returned_fps: float
    """Frames returned per second."""

    def __init__(self) -> None:
        """Start to count now."""
        self._last = (0, 0, time.monotonic())
        self.received_fps = self.returned_fps = 0.0

    def measure(self, received: int, returned: int) -> None:
        """Update the rates from the total numbers of frames received and returned so far."""
        now = time.monotonic()
        seconds = now - self._last[2]
        self.received_fps = (received - self._last[0]) / seconds
        self.returned_fps = (returned - self._last[1]) / seconds
        self._last = received, returned, now
