"""The time by which old spans are deleted: the clock's, unless that has just jumped."""

from stream.clock import boottime

DAY_S = 86_400.0

_DOWNTIME = 0.1
"""Share of the retention period for which the server may have been off, and at least a day, before
the clock is in doubt."""

_MAX_STEP_S = 3600.0
"""Step of the clock that puts it in doubt while the server runs."""

_WAIT_S = DAY_S


class RetentionClock:
    """Doubts a clock that is far from where it was left, until it has stayed there for a day.

    A clock that is set a year ahead for a minute, or starts there, would otherwise make the whole
    history too old. After the server was off for long, deletion waits for a day, too.
    """

    def __init__(self, days: float, newest: float | None) -> None:
        """Start where the history ends.

        Args:
            days: Retention period.
            newest: End of the newest span, in seconds since the Unix epoch; None to trust the clock
                at first.
        """
        self._tolerance_s = max(DAY_S, _DOWNTIME * days * DAY_S)
        self.wait_s = min(_WAIT_S, days * DAY_S)
        """How long a clock in doubt must run on before it is trusted, in seconds."""
        self._trusted = newest
        self._trusted_at = boottime()
        self._doubted_at: float | None = None

    def time(self, clock: float) -> float:
        """Return the latest time that is not in doubt; call it regularly.

        Args:
            clock: The clock's time, in seconds since the Unix epoch.
        """
        now = boottime()
        if self._trusted is not None:
            expected = self._trusted + now - self._trusted_at
            if abs(clock - expected) > self._tolerance_s:
                if self._doubted_at is None:
                    self._doubted_at = now
                if now - self._doubted_at < self.wait_s:
                    return min(clock, expected)
        self._trusted, self._trusted_at, self._doubted_at = clock, now, None
        self._tolerance_s = _MAX_STEP_S
        return clock
