"""Firings of rules in the history, in both databases."""

from dataclasses import replace
from pathlib import Path

import pytest

from stream.history import (
    Firing,
    FiringQuery,
    History,
    HistoryQuery,
    HistorySettings,
    Picture,
    PictureLimits,
)
from stream.history.backend import Backend
from stream.history.reader import HistoryReader
from stream.history.retention import DAY_S
from stream.history.store import Store
from tests.support.captions import BASE_TIME, caption_event

DOGS = Firing("dogs", "yard", BASE_TIME, None, "A dog!", "A dog runs", ("dog", "red car"))


def stored(reader: HistoryReader, query: FiringQuery | None = None) -> list[Firing]:
    return [each.firing for each in reader.firings(query or FiringQuery(), 100, None)]


def test_a_firing_is_stored_and_gets_its_end(store: Store, reader: HistoryReader) -> None:
    odd = replace(DOGS, feed="door", message="nul \0 and \ud800", caption="", words=())
    store.put_firing(DOGS)
    store.put_firing(odd)
    store.put_firing(DOGS.at_end(BASE_TIME + 5))
    # A server that finds the firing again does not remove the end.
    store.put_firing(DOGS)

    kept = replace(odd, message="nul \ufffd and \ufffd")
    assert stored(reader) == [kept, DOGS.at_end(BASE_TIME + 5)]


def test_firings_are_found_by_rule_feed_and_time_in_pages(
    store: Store, reader: HistoryReader
) -> None:
    for number in range(6):
        rule, feed = ("dogs", "cats")[number % 2], ("yard", "door")[number // 3]
        store.put_firing(replace(DOGS, rule=rule, feed=feed, began=BASE_TIME + number))

    def seconds(query: FiringQuery) -> list[float]:
        return [firing.began - BASE_TIME for firing in stored(reader, query)]

    assert seconds(FiringQuery(rule="dogs")) == [4, 2, 0]
    assert seconds(FiringQuery(feed="yard")) == [2, 1, 0]
    assert seconds(FiringQuery(begin=BASE_TIME + 1, end=BASE_TIME + 4)) == [3, 2, 1]
    first = reader.firings(FiringQuery(), 4, None)
    rest = reader.firings(FiringQuery(), 4, first[-1].number)
    assert [each.firing.began - BASE_TIME for each in [*first, *rest]] == [5, 4, 3, 2, 1, 0]


def test_firings_are_deleted_with_the_captions_around_them(
    store: Store, reader: HistoryReader
) -> None:
    for feed in ("yard", "door"):
        for number in range(3):
            store.put_firing(replace(DOGS, feed=feed, began=BASE_TIME + 100 * number))
    store.delete(HistoryQuery(feed="yard", begin=BASE_TIME + 100, end=BASE_TIME + 200))
    assert len(stored(reader)) == 5
    assert [each.began for each in stored(reader, FiringQuery(feed="yard"))] == [
        BASE_TIME + 200,
        BASE_TIME,
    ]
    store.delete(HistoryQuery())
    assert stored(reader) == []
    # Nor does one come back that still lasted.
    store.put_firing(DOGS.at_end(BASE_TIME + 5))
    assert stored(reader) == []


def test_firings_age_and_their_number_is_bounded(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.history.store.MAX_FIRINGS", 3)
    store = backend.open_store(days=90, megabytes=100)
    reader = backend.open_reader()
    store.add(caption_event("A dog runs", 89 * DAY_S))
    for day in (0, 10, 20, 30, 40):
        store.put_firing(replace(DOGS, began=BASE_TIME + day * DAY_S))
    store.apply_retention(BASE_TIME + 95 * DAY_S)
    days = [(each.began - BASE_TIME) / DAY_S for each in stored(reader)]
    reader.close()
    store.close()

    assert days == [40, 30, 20]


def test_a_firing_has_the_picture_of_its_caption_or_of_the_next(backend: Backend) -> None:
    store = backend.open_store(36_500, 100, PictureLimits(36_500, 100))
    reader = backend.open_reader()
    said = [("A dog runs", 0), ("A dog sits", 10), ("A dog sleeps", 20), ("A dog eats", 300)]
    spans = [store.add(caption_event(text, second)) for text, second in said]
    store.add(caption_event("A dog runs", 11, stream="door"))
    ids = [span.id for span in spans if span]
    store.keep_pictures([Picture(ids[number], b"image", "") for number in (0, 2, 3)])
    # The second caption has no picture, so that what fires on it, or after it, has the third's.
    expected = {0: 0, 9.9: 0, 10: 2, 19: 2, 20.0004: 2, 40: 2, -20: 0, 2000: None, -40: None}
    for second in expected:
        store.put_firing(replace(DOGS, began=round(BASE_TIME + second, 3)))
    store.put_firing(replace(DOGS, feed="door", began=BASE_TIME + 12))
    found = reader.firings(FiringQuery(feed="yard"), 100, None)
    door = reader.firings(FiringQuery(feed="door"), 100, None)
    alone = [reader.firing_picture(each.firing) for each in found]
    pictured = reader.newest(HistoryQuery(pictured=True), 100, None)
    reader.close()
    store.close()

    assert [each.picture for each in reversed(found)] == [
        None if number is None else ids[number] for number in expected.values()
    ]
    assert [each and each.span for each in alone] == [each.picture for each in found]
    assert all(each is None or each.image == b"image" for each in alone)
    assert [each.picture for each in door] == [None]
    assert [span.id for span in pictured] == [ids[3], ids[2], ids[0]]


def test_a_history_of_an_earlier_version_gets_the_table(backend: Backend) -> None:
    store = backend.open_store(days=36_500, megabytes=100)
    drop_firings(store)
    store.close()
    store, reader = backend.open_store(days=36_500, megabytes=100), backend.open_reader()
    store.put_firing(DOGS)
    assert stored(reader) == [DOGS]
    reader.close()
    store.close()


def drop_firings(store: Store) -> None:
    """Remove the table, as if an earlier version had created the others."""
    connection = store._connection  # type: ignore[attr-defined]
    if hasattr(connection, "run"):
        connection.run(lambda each: each.execute("DROP TABLE firings"))
    else:
        connection.execute("DROP TABLE firings")


async def test_a_firing_that_cannot_be_written_is_counted(tmp_path: Path) -> None:
    history = History(HistorySettings(path=tmp_path / "history.sqlite"))
    await history.open()
    await history.record_firing(DOGS)
    found = await history.firings(FiringQuery(), 10, None)
    assert history._store
    drop_firings(history._store)
    await history.record_firing(DOGS)
    await history.close()

    assert [each.firing for each in found] == [DOGS]
    assert history.lost == 1
