"""The delay with which a live stream's frames arrive after they were held back."""

import av

_STALL_S = 0.5
"""How much later than its timestamp a frame must arrive to count as held back. Less is jitter."""

_FASTER = 0.5
"""Frames are a backlog if they arrive in less than this fraction of the time that they span."""

_PROGRESS_S = 0.1
_CATCH_UP_S = 2.0
"""A delay that was not made up by `_PROGRESS_S` within this time is no delay: the timestamps are
wrong. Many cameras count frames instead of reading a clock."""


class ArrivalDelay:
    """Measures how long frames were held back before they arrived.

    A stall of the network or the peer delays frames, which then arrive faster than they were
    captured until the delay is made up. A peer may also start with frames that it has kept.
    """

    def __init__(self) -> None:
        """Start before the first frame."""
        self.starts_late = True
        """Whether every frame so far may have been kept since before the connection."""
        self._timestamp_s: float | None = None
        self._arrived = self._progressed = 0.0
        self._delay_s = self._lowest_s = 0.0

    def measure(self, frame: av.VideoFrame, arrived: float) -> float:
        """Return how long a frame was held back before it arrived, in seconds.

        Call it once for each frame, in order.

        Args:
            frame: The frame, with its timestamp.
            arrived: When it arrived, on the monotonic clock.
        """
        timestamp_s = None
        if frame.pts is not None and frame.time_base is not None:
            timestamp_s = float(frame.pts * frame.time_base)
        previous_s, self._timestamp_s = self._timestamp_s, timestamp_s
        waited_s, self._arrived = arrived - self._arrived, arrived
        if timestamp_s is None or previous_s is None or timestamp_s <= previous_s:
            # The first frame, one without a timestamp, or a clock that was set.
            self.starts_late = self.starts_late and timestamp_s is not None
            self._delay_s = 0.0
            return 0.0
        spanned_s = timestamp_s - previous_s
        if waited_s >= _FASTER * spanned_s:
            self.starts_late = False
        self._update(waited_s - spanned_s)
        return self._delay_s

    def _update(self, late_s: float) -> None:
        if late_s >= _STALL_S:
            self._delay_s += late_s
            self._lowest_s, self._progressed = self._delay_s, self._arrived
        elif self._delay_s > 0.0:
            self._delay_s = max(0.0, self._delay_s + late_s)
            if self._delay_s < self._lowest_s - _PROGRESS_S:
                self._lowest_s, self._progressed = self._delay_s, self._arrived
            elif self._arrived - self._progressed > _CATCH_UP_S:
                self._delay_s = 0.0
