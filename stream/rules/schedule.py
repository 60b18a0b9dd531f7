"""Hours of the day and days of the week, in the server's local time."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal, Self

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\s*-\s*(?:([01]\d|2[0-3]):([0-5]\d)|(24):(00))")
_MIDNIGHT = 24 * 60


@dataclass(frozen=True, slots=True)
class Schedule:
    """A window of each day on some days of the week; one over midnight belongs to its first day.

    It opens once a day, also when clocks are changed: of a time that they show twice it opens at
    the first and closes at the last, and of a time that they skip at the moment when they do.
    """

    begin: int = 0
    """Minutes since midnight."""
    end: int = _MIDNIGHT
    """The same; up to `begin` if the window ends on the next day."""
    days: frozenset[int] = frozenset(range(7))
    """Days on which the window begins, 0 for Monday."""

    @classmethod
    def parse(cls, hours: str, days: Sequence[Day]) -> Self:
        """Create a schedule.

        Args:
            hours: Such as `22:00-06:00`; empty for the whole day.
            days: Names of days; all if there are none.

        Raises:
            ValueError: If the hours are not written so.
        """
        found = _HOURS.fullmatch(hours.strip()) if hours else None
        if hours and not found:
            raise ValueError("write hours as 08:00-18:00, or 22:00-06:00 to include midnight")
        begin, end = 0, _MIDNIGHT
        if found:
            numbers = [int(number) for number in found.groups() if number is not None]
            begin, end = 60 * numbers[0] + numbers[1], 60 * numbers[2] + numbers[3]
            if begin == end:
                raise ValueError("the hours begin when they end; leave them out for the whole day")
        return cls(begin, end, frozenset(map(DAYS.index, days)) or frozenset(range(7)))

    @property
    def is_always(self) -> bool:
        """Whether every time is included."""
        return self == Schedule()

    def includes(self, time_s: float) -> bool:
        """Return whether a time, in seconds since the Unix epoch, is in the window."""
        if self.is_always:
            return True
        day = datetime.fromtimestamp(time_s).date()
        return any(begin <= time_s < end for begin, end in map(self._window, _days_around(day)))

    def changes(self, begin_s: float, end_s: float) -> list[float]:
        """Return when the window may open or close between two times, both excluded, in order."""
        if self.is_always:
            return []
        first = datetime.fromtimestamp(begin_s).date()
        count = (datetime.fromtimestamp(end_s).date() - first).days
        days = [first + timedelta(number) for number in range(-1, count + 1)]
        times = {each for day in days for each in self._window(day)}
        return sorted(each for each in times if begin_s < each < end_s)

    def _window(self, day: date) -> tuple[float, float]:
        """Return the window that begins on a day, as `includes`; empty if there is none."""
        midnight = datetime.combine(day, time())
        begin, _ = _occurrences(midnight + timedelta(minutes=self.begin))
        if day.weekday() not in self.days:
            return begin, begin
        minutes = self.end if self.end > self.begin else self.end + _MIDNIGHT
        _, end = _occurrences(midnight + timedelta(minutes=minutes))
        return begin, end


def _occurrences(local: datetime) -> tuple[float, float]:
    """Return when clocks show a local time first and last, in seconds since the Unix epoch."""
    first, last = local.timestamp(), local.replace(fold=1).timestamp()
    if first <= last:
        return first, last
    # Clocks skip it, between these two (PEP 495): find the second in which they do.
    before, after = last, first
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle) < local:
            before = middle
        else:
            after = middle
    return after, after


def _days_around(day: date) -> tuple[date, date]:
    """Return the days on which a window that includes a time of this day may have begun."""
    return day - timedelta(1), day
