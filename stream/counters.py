"""What the server has done since it started, streams that have ended included.

How often something took how long.

How many pictures a second come and go.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from itertools import accumulate

from stream.captioning import CaptionEvent

_AGES_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10)
_WAITS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


@dataclass(frozen=True, slots=True)
class StreamTotals:
    """What became of the pictures of a stream; each stage drops those it has no time for."""

    received: int = 0
    """Pictures that came in."""
    drawn: int = 0
    """Pictures that the caption was drawn into."""
    not_drawn: int = 0
    """Pictures that newer ones replaced before they were drawn; all of them if nobody watches."""
    not_captioned: int = 0
    """Pictures that newer ones replaced before the sampler took one."""
    captions: int = 0
    """Captions that were told."""
    encoded: int = 0
    """Pictures that were encoded for several viewers at once."""
    not_encoded: int = 0
    """Pictures that could not be drawn or encoded for them."""
    not_delivered: int = 0
    """Packets that viewers lost because they were too slow."""

    def __add__(self, other: "StreamTotals") -> "StreamTotals":
        pairs = zip(astuple(self), astuple(other), strict=True)
        return StreamTotals(*(one + two for one, two in pairs))


class Counts:
    """Adds up streams; on the event loop."""

    untold: int
    """Captions that a client was not told: its channel was full of older messages, or not open."""

    def __init__(self) -> None:
        """Start from nothing."""
        self.untold = 0
        self._ended = StreamTotals()
        self._live: dict[object, Callable[[], StreamTotals]] = {}
        self.caption_ages_s = Histogram(_AGES_S)
        """How old the picture was when its caption was told."""
        self.engine_waits_s = Histogram(_WAITS_S)
        """How long pictures waited for the captioner."""

    @property
    def streams(self) -> int:
        """How many are live."""
        return len(self._live)

    @property
    def totals(self) -> StreamTotals:
        """Of all streams together."""
        return sum((totals() for totals in self._live.values()), self._ended)

    def begin(self, totals: Callable[[], StreamTotals]) -> Callable[[], None]:
        """Count a stream that can tell its totals; return what to call at its end, once or more."""
        key = object()
        self._live[key] = totals

        def end() -> None:
            if self._live.pop(key, None):
                self._ended += totals()

        return end

    def count_caption(self, event: CaptionEvent) -> None:
        """Count a caption as it is told."""
        self.caption_ages_s.observe(event.age_ms() / 1e3)
        if event.caption.timing_ms.encoder:
            self.engine_waits_s.observe(event.wait_ms / 1e3)


class Histogram:
    """Counts values by the bounds that they do not exceed; it keeps none of them."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """Count by these bounds, in rising order."""
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        """The sum of all values."""

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[float, int]]:
        """Say for each bound how many values do not exceed it; the last bound is infinite."""
        return list(zip((*self._bounds, float("inf")), accumulate(self._counts), strict=True))


class FrameRates:
    """Pictures a second, each time since it was last asked."""

    def __init__(self) -> None:
        """Begin to count now."""
        self._last = (0, 0, time.monotonic())
        self.received = self.returned = 0.0

    def measure(self, received: int, returned: int) -> None:
        """Take the numbers of all pictures so far."""
        now = time.monotonic()
        seconds = now - self._last[2]
        self.received = (received - self._last[0]) / seconds
        self.returned = (returned - self._last[1]) / seconds
        self._last = received, returned, now
