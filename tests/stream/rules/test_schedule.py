"""Windows of hours when clocks are changed, beside a reading of the clock at each quarter."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream.rules.schedule import DAYS, Day, Schedule

QUARTER_S = 900
CHANGES = [
    # Clocks go back at 3:00, forward at 2:00, back at 1:00 to midnight, back by half an hour, back
    # from midnight to the day before, and forward at midnight.
    ("Europe/Berlin", datetime(2026, 10, 25)),
    ("Europe/Berlin", datetime(2026, 3, 29)),
    ("America/Havana", datetime(2024, 11, 3)),
    ("Australia/Lord_Howe", datetime(2026, 4, 5)),
    ("America/Sao_Paulo", datetime(2018, 2, 18)),
    ("America/Sao_Paulo", datetime(2018, 11, 4)),
]


@contextmanager
def local_zone(name: str) -> Iterator[ZoneInfo]:
    """Let local times be those of a zone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", name)
        time.tzset()
        yield ZoneInfo(name)
    time.tzset()


def open_quarters(schedule: Schedule, walls: list[datetime]) -> list[bool]:
    """Whether a window is open, by what the clock shows at each quarter.

    One has begun once the clock has shown its begin or more, and lasts until it shows less than its
    end for the last time.
    """
    begun, least = list(accumulate(walls, max)), list(accumulate(reversed(walls), min))[::-1]
    found = [False] * len(walls)
    first = walls[0].replace(hour=0, minute=0) - timedelta(1)
    for number in range(7):
        midnight = first + timedelta(number)
        begin = midnight + timedelta(minutes=schedule.begin)
        minutes = schedule.end + (1440 if schedule.end <= schedule.begin else 0)
        end = midnight + timedelta(minutes=minutes)
        if midnight.weekday() in schedule.days:
            found = [
                is_open or (begin <= most and rest < end)
                for is_open, most, rest in zip(found, begun, least, strict=True)
            ]
    return found


@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_a_window_opens_once_when_clocks_are_changed(zone: str, day: datetime) -> None:
    with local_zone(zone) as local:
        start = (day - timedelta(1)).replace(tzinfo=local).timestamp()
        times = [start + QUARTER_S * number for number in range(3 * 96)]
        walls = [
            datetime.fromtimestamp(each, UTC).astimezone(local).replace(tzinfo=None)
            for each in times
        ]

        @settings(max_examples=60, deadline=None)
        @given(st.integers(0, 95), st.integers(1, 96), st.lists(st.sampled_from(DAYS)))
        @example(88, 10, [])
        @example(88, 7, [])
        @example(9, 11, [])
        def check(begin: int, end: int, days: list[Day]) -> None:
            if begin == end:
                return
            hours = "-".join(f"{each // 4:02}:{15 * (each % 4):02}" for each in (begin, end))
            schedule = Schedule.parse(hours, days)
            expected = open_quarters(schedule, walls)
            assert [schedule.includes(each) for each in times] == expected
            opened = [
                each
                for each, before, now in zip(times[1:], expected, expected[1:], strict=False)
                if before != now
            ]
            if not schedule.is_always:
                changes = schedule.changes(times[0], times[-1] + 1)
                assert set(opened) <= set(changes)

        check()


def test_a_window_that_ends_in_the_hour_that_is_shown_twice_opens_once() -> None:
    schedule = Schedule.parse("22:00-02:30", ())
    with local_zone("Europe/Berlin"):
        # Half past two in summer time, which is the first of the two.
        half = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
        opened = [schedule.includes(half + 900 * number) for number in range(-2, 8)]
        changes = schedule.changes(half - 10 * 3600, half + 10 * 3600)

    assert opened == [True] * 6 + [False] * 4
    assert [each - half for each in changes] == [-4.5 * 3600, 3600]
