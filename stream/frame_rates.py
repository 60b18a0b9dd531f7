"""How many pictures a second come and go."""

import time


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
