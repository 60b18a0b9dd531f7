"""Expiry and deletion of spans."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from stream.clock import boottime
from stream.history import retention
from stream.history.backend import Backend
from stream.history.query import HistoryQuery
from stream.history.reader import HistoryReader
from stream.history.sqlite import SqliteBackend
from stream.history.store import Store
from tests.support.captions import BASE_TIME, caption_event, shorter_fallback

DAY_S = 86_400.0
YEAR_S = 365 * DAY_S
COUNT = 500
WORDS = ("dog", "cat", "man", "street", "canoe", "snow", "jacket", "ball", "tree", "bird")


def fill(store: Store, count: int) -> None:
    for number in range(count):
        words = " ".join(f"{word}{number % 7}" for word in WORDS * 60)
        store.add(caption_event(shorter_fallback(f"Frame {number}", words), 60 * number))


def texts(reader: HistoryReader, words: str | None = None) -> list[str]:
    query = HistoryQuery.parse(None, None, None, words)
    return [span.text for span in reader.oldest(query, 500, None)]


def test_old_spans_are_deleted(backend: Backend, reader: HistoryReader, store: Store) -> None:
    for day in range(4):
        store.add(caption_event(f"A dog runs {day}", day * DAY_S))
    short = backend.open_store(days=2, megabytes=100)

    assert short.apply_retention(BASE_TIME + 3.5 * DAY_S) == 2
    assert short.apply_retention(BASE_TIME + 3.5 * DAY_S) == 0
    short.close()

    assert texts(reader) == texts(reader, "dogs") == ["A dog runs 2", "A dog runs 3"]


def test_above_the_size_limit_the_oldest_are_deleted_and_the_space_is_returned(
    backend: Backend, tmp_path: Path
) -> None:
    store = backend.open_store(days=36_500, megabytes=1)
    fill(store, COUNT)
    assert store.bytes > 1_200_000

    deleted = store.apply_retention(BASE_TIME)

    reader = backend.open_reader()
    left = [span.text for span in reader.newest(HistoryQuery(), 500, None)]
    assert 500_000 < store.bytes <= 1_000_000
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 1_100_000
    assert reader.bytes() <= 1_100_000
    assert left[:2] == [f"Frame {COUNT - 1}", f"Frame {COUNT - 2}"]
    assert len(left) == COUNT - deleted
    assert not texts(reader, f"frame {deleted - 1}")
    assert texts(reader, f"frame {deleted}")
    assert store.apply_retention(BASE_TIME) == 0
    reader.close()
    store.close()


@pytest.mark.parametrize(
    ("query", "left"),
    [
        (HistoryQuery(feed="yard"), ["door 0", "door 1"]),
        (HistoryQuery(begin=BASE_TIME + 60), ["yard 0", "door 0"]),
        (HistoryQuery(end=BASE_TIME + 60), ["yard 1", "door 1"]),
        (HistoryQuery(), []),
    ],
)
def test_spans_of_a_query_are_deleted_and_erased_from_a_file(
    backend: Backend, store: Store, reader: HistoryReader, query: HistoryQuery, left: list[str]
) -> None:
    for number in range(2):
        for offset, feed in enumerate(("yard", "door")):
            store.add(caption_event(f"{feed} {number}", 60 * number + offset, feed))

    assert store.delete(query) == 4 - len(left)

    assert texts(reader) == left
    if isinstance(backend, SqliteBackend):
        content = backend.path.read_bytes()
        for text in {"yard 0", "yard 1", "door 0", "door 1"} - set(left):
            assert text.encode() not in content


def test_a_caption_that_continues_after_a_deletion_starts_a_new_span(
    store: Store, reader: HistoryReader
) -> None:
    store.add(caption_event("A dog runs", 0))
    store.delete(HistoryQuery())
    store.add(caption_event("A dog runs", 2))

    assert texts(reader) == ["A dog runs"]


class Uptime:
    """The clock `boottime` of retention, which a test moves on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed_s = 0.0
        monkeypatch.setattr(retention, "boottime", lambda: boottime() + self.passed_s)


@pytest.fixture
def uptime(monkeypatch: pytest.MonkeyPatch) -> Uptime:
    return Uptime(monkeypatch)


def fill_days(backend: Backend, days: int) -> Store:
    """Write a history with a caption a day, and open it again as a server that starts would."""
    store = backend.open_store(days=90, megabytes=100)
    for day in range(days):
        store.add(caption_event(f"Day {day}", day * DAY_S))
    store.close()
    return backend.open_store(days=90, megabytes=100)


def test_a_clock_a_year_ahead_for_a_minute_deletes_nothing_and_is_logged(
    backend: Backend, uptime: Uptime, caplog: pytest.LogCaptureFixture
) -> None:
    store = fill_days(backend, 80)
    now = BASE_TIME + 80 * DAY_S
    assert store.apply_retention(now) == 0
    uptime.passed_s = 60

    assert store.apply_retention(now + YEAR_S + 60) == 0
    assert store.apply_retention(now + YEAR_S + 60) == 0
    (warning,) = caplog.messages
    assert "365.0 days ahead" in warning and "80 of its spans" in warning
    uptime.passed_s = 120
    assert store.apply_retention(now + 120) == 0
    assert "plausible again" in caplog.messages[-1]

    # Retention goes on: ten days later the first captions are older than 90 days.
    uptime.passed_s = 11 * DAY_S
    assert store.apply_retention(now + 11 * DAY_S) == 1
    store.close()


def test_a_server_that_starts_with_a_wrong_clock_deletes_nothing(
    backend: Backend, uptime: Uptime
) -> None:
    for ahead_s in (YEAR_S, 30 * DAY_S):
        store = fill_days(backend, 80)
        assert store.apply_retention(BASE_TIME + 80 * DAY_S + ahead_s) == 0
        # A caption that is dated by the wrong clock is no proof of it.
        store.add(caption_event("Ahead", 80 * DAY_S + ahead_s))
        assert store.apply_retention(BASE_TIME + 80 * DAY_S + ahead_s) == 0
        store.apply_retention(BASE_TIME + 80 * DAY_S)
        store.delete(HistoryQuery())
        store.close()


def test_a_clock_that_stays_ahead_for_a_day_is_trusted(backend: Backend, uptime: Uptime) -> None:
    store = fill_days(backend, 80)
    now = BASE_TIME + 80 * DAY_S + YEAR_S
    for hour in range(24):
        uptime.passed_s = 3600.0 * hour
        assert store.apply_retention(now + uptime.passed_s) == 0
    uptime.passed_s = DAY_S
    assert store.apply_retention(now + DAY_S) == 80
    store.close()


def test_a_shorter_retention_period_applies_at_once(backend: Backend) -> None:
    fill_days(backend, 80).close()
    store = backend.open_store(days=7, megabytes=100)

    assert store.apply_retention(BASE_TIME + 80 * DAY_S) == 73
    store.close()


def test_spans_dated_ahead_of_the_clock_do_not_lead_and_age_out(
    backend: Backend, reader: HistoryReader, store: Store, uptime: Uptime
) -> None:
    now = time.time()
    for year in (3, 0):
        event = caption_event(f"In {year} years")
        store.add(replace(event, captured=now + year * YEAR_S - 2))

    timeline = reader.timeline(HistoryQuery(), 4)
    assert texts(reader) == ["In 0 years"]
    assert [span.text for span in reader.newest(HistoryQuery(), 9, None)] == ["In 0 years"]
    assert timeline["to"] - timeline["from"] < 1
    assert timeline["ahead"] == 1
    later = HistoryQuery(begin=now + YEAR_S)
    assert [span.text for span in reader.newest(later, 9, None)] == ["In 3 years"]
    assert reader.timeline(later, 4)["to"] > now + 2 * YEAR_S

    short = backend.open_store(days=2, megabytes=100)
    assert short.apply_retention(now) == 0
    for days in (1.9, 2.1):
        uptime.passed_s = days * DAY_S
        assert short.apply_retention(now + days * DAY_S) == (0 if days < 2 else 2)
    short.close()
    assert reader.newest(later, 9, None) == []


def test_an_empty_history_has_no_timeline(reader: HistoryReader) -> None:
    timeline = reader.timeline(HistoryQuery(), 60)

    assert timeline["buckets"] == []
    assert abs(timeline["from"] - time.time()) < 60
