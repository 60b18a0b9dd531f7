"""What only PostgreSQL has to do: outages, several servers, schema versions and partitions."""

import asyncio
import itertools
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from stream.broadcast import Broadcast
from stream.captioning.event import CaptionEvent
from stream.history import History, HistoryBusy, HistoryError, HistoryQuery, HistorySettings
from stream.history.backend import choose_backend
from stream.history.errors import WriteDelayed
from stream.history.postgres import PostgresReader, PostgresStore
from stream.history.postgres import reader as reader_module
from stream.history.postgres.connection import SCHEMA
from stream.history.postgres.schema import RETENTION_LOCK
from stream.history.store import Store
from tests.stream.history.test_retention import fill
from tests.support.captions import BASE_TIME, caption_event
from tests.support.postgres import PostgresServer

ROOT = Path(__file__).parents[3]
DAY_S = 86_400.0
ALL = HistoryQuery()


def open_store(url: str, days: float = 36_500) -> PostgresStore:
    return PostgresStore(url, days, megabytes=100)


@pytest.fixture
def store(history_url: str) -> Iterator[PostgresStore]:
    store = open_store(history_url)
    yield store
    store.close()


@pytest.fixture
def reader(history_url: str, store: PostgresStore) -> Iterator[PostgresReader]:
    reader = PostgresReader(history_url)
    yield reader
    reader.close()


def texts(reader: PostgresReader) -> list[str]:
    return [span.text for span in reader.oldest(ALL, 500, None)]


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_captions_wait_while_the_database_is_down(
    history_url: str, postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    captions: Broadcast[CaptionEvent] = Broadcast()
    history = History(HistorySettings(days=36_500), history_url)
    await history.open()
    task = asyncio.create_task(history.record(captions))
    await until(lambda: bool(len(captions)))
    try:
        captions.publish(caption_event("Frame 0", 0))
        await until(lambda: history.spans == 1)
        assert await history.search(ALL, 10, None)

        postgres.kill()
        for number in range(1, 101):
            captions.publish(caption_event(f"Frame {number}", number))
        with pytest.raises(HistoryError, match=r"cannot be read from test_\d+ at /"):
            await history.search(ALL, 10, None)
        with pytest.raises(HistoryError, match="cannot be written"):
            await history.delete(ALL)
        await until(lambda: "captions are queued" in caplog.text)
        postgres.start()
        await until(lambda: history.spans == 101)
        await until(lambda: "can be written again" in caplog.text)

        pages = [page async for page in history.pages(ALL)]
        assert [span.text for page in pages for span in page] == [f"Frame {n}" for n in range(101)]
        assert (history.lost, history.dropped) == (0, 0)
    finally:
        task.cancel()
        await asyncio.wait({task})
        await history.close()


async def test_captions_are_lost_only_beyond_the_queue(
    history_url: str, postgres: PostgresServer
) -> None:
    captions: Broadcast[CaptionEvent] = Broadcast()
    history = History(HistorySettings(days=36_500), history_url)
    await history.open()
    task = asyncio.create_task(history.record(captions))
    await until(lambda: bool(len(captions)))
    postgres.kill()
    try:
        captions.publish(caption_event("Frame 0", 0))
        await asyncio.sleep(0.2)
        for number in range(1, 1101):
            captions.publish(caption_event(f"Frame {number}", number))
    finally:
        postgres.start()
    await until(lambda: history.spans == 1001)
    task.cancel()
    await asyncio.wait({task})
    await history.close()
    assert (history.lost, history.dropped) == (0, 100)


def test_each_committed_caption_is_stored_once_however_often_the_database_is_killed(
    store: PostgresStore, reader: PostgresReader, postgres: PostgresServer
) -> None:
    chance, is_done = random.Random(5), threading.Event()

    def kill_often() -> None:
        for _ in range(12):
            time.sleep(chance.uniform(0, 0.15))
            postgres.kill()
            postgres.start()
        is_done.set()

    with ThreadPoolExecutor(1) as executor:
        killing = executor.submit(kill_often)
        number = 0
        while not is_done.is_set() and not killing.done():
            try:
                store.add(caption_event(f"Frame {number}", number))
            except WriteDelayed:
                while not flushed(store):
                    time.sleep(0.02)
            number += 1
        killing.result()

    found, after = list[str](), None
    while page := reader.oldest(ALL, 500, after):
        found += [span.text for span in page]
        after = page[-1].id
    assert Counter(found) == Counter(f"Frame {each}" for each in range(number))
    assert store.written == number > 12


def flushed(store: Store) -> bool:
    try:
        store.flush()
    except WriteDelayed:
        return False
    return True


def test_a_commit_whose_answer_was_lost_is_not_repeated(
    store: PostgresStore, reader: PostgresReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(caption_event("A dog runs", 0))
    exit_transaction = psycopg.Transaction.__exit__

    def lose_answer(transaction: psycopg.Transaction, *problem: object) -> bool:
        monkeypatch.undo()
        exit_transaction(transaction, *problem)  # type: ignore[arg-type]
        transaction.connection.close()
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(psycopg.Transaction, "__exit__", lose_answer)
    store.add(caption_event("A cat sits", 1))

    assert texts(reader) == ["A dog runs", "A cat sits"]


def test_servers_that_start_at_once_share_one_history(history_url: str) -> None:
    with ThreadPoolExecutor(4) as executor:
        stores = list(executor.map(open_store, [history_url] * 4))
        for store in stores:
            executor.submit(store.add, caption_event("A dog runs", 0, feed_of(store)))
    reader = PostgresReader(history_url)
    spans = reader.oldest(ALL, 100, None)
    for store in stores:
        store.close()
    reader.close()

    # Frames of the same microsecond, and a partition that all needed at once.
    assert len({span.feed for span in spans}) == 4
    assert [span.id - spans[0].id for span in spans] == [0, 1, 2, 3]


def feed_of(store: Store) -> str:
    return f"feed-{id(store)}"


def test_servers_write_delete_and_search_at_once(history_url: str) -> None:
    stores = [open_store(history_url, days=90) for _ in range(4)]
    reader, numbers = PostgresReader(history_url), itertools.count()
    end = time.monotonic() + 1.5

    def repeat(work: Callable[[], object]) -> int:
        for count in itertools.count(1):
            work()
            if time.monotonic() > end:
                return count
        raise AssertionError

    def add(store: Store) -> None:
        # Partitions come and go.
        number = next(numbers)
        store.add(caption_event(f"Frame {number}", 3600 * (number % 2000), feed_of(store)))

    with ThreadPoolExecutor(5) as executor:
        running = [
            executor.submit(repeat, work)
            for work in (
                lambda: add(stores[0]),
                lambda: add(stores[1]),
                lambda: stores[2].delete(ALL),
                lambda: stores[3].apply_retention(BASE_TIME + 100 * DAY_S),
                lambda: reader.newest(ALL, 10, None),
            )
        ]
        assert all(each.result() for each in running)
    for store in stores:
        store.close()
    reader.close()


def test_a_span_that_another_server_deleted_is_not_extended(
    history_url: str, store: PostgresStore, reader: PostgresReader
) -> None:
    store.add(caption_event("A dog runs", 0))
    other = open_store(history_url)
    assert other.delete(ALL) == 1
    other.close()

    store.add(caption_event("A dog runs", 1))
    store.flush()
    assert texts(reader) == []
    store.add(caption_event("A dog runs", 2))
    assert texts(reader) == ["A dog runs"]


def texts_of(url: str) -> list[str]:
    reader = PostgresReader(url)
    try:
        return texts(reader)
    finally:
        reader.close()


def test_old_partitions_are_dropped_as_a_whole_and_by_one_server_at_a_time(
    history_url: str,
) -> None:
    store = open_store(history_url, days=90)
    for day in (0, 10, 80, 95):
        store.add(caption_event(f"Day {day}", day * DAY_S))
    store.close()
    assert partitions(history_url) == 4

    store = open_store(history_url, days=90)
    with psycopg.connect(history_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s::bigint)", (RETENTION_LOCK,))
        assert store.apply_retention(BASE_TIME + 95 * DAY_S) == 0
        other.execute("SELECT pg_advisory_unlock_all()")
    assert store.apply_retention(BASE_TIME + 95 * DAY_S) == 1
    store.close()

    assert texts_of(history_url) == ["Day 10", "Day 80", "Day 95"]
    assert partitions(history_url) == 3


def test_the_size_limit_holds_while_a_search_runs(history_url: str) -> None:
    store = PostgresStore(history_url, 36_500, megabytes=1)
    fill(store, 500)
    with psycopg.connect(history_url) as other:
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT count(*) FROM pg_class")
        assert 0 < store.apply_retention(BASE_TIME) < 250
        assert store.bytes <= 1_000_000
        assert store.apply_retention(BASE_TIME) == 0
    store.close()


def partitions(url: str) -> int:
    statement = f"SELECT count(*) FROM pg_inherits WHERE inhparent = '{SCHEMA}.spans'::regclass"
    ((count,),) = execute(url, statement)
    assert isinstance(count, int)
    return count


def test_characters_that_a_database_cannot_store_are_replaced(
    store: PostgresStore, reader: PostgresReader
) -> None:
    store.add(caption_event("A dog\0runs \ud800", 0))
    store.add(caption_event("A dog\0runs \ud800", 1))

    assert texts(reader) == ["A dog\ufffdruns \ufffd"]
    for words, feed in (("dog", None), ("dog\0runs", None), ("\ud800 dog", None), (None, "a\0b")):
        found = reader.newest(HistoryQuery.parse(feed, None, None, words), 9, None)
        assert len(found) == (feed is None)


def test_a_slow_search_is_aborted(
    history_url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(reader_module._SESSION, "statement_timeout", "100")
    reader = PostgresReader(history_url)
    with psycopg.connect(history_url) as other:
        other.execute(f"LOCK TABLE {SCHEMA}.spans IN ACCESS EXCLUSIVE MODE".encode())
        with pytest.raises(HistoryBusy, match="too long"):
            reader.newest(ALL, 10, None)
    assert reader.newest(ALL, 10, None) == []
    reader.close()


def test_the_reading_side_cannot_write(reader: PostgresReader) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        reader._connection.run(lambda connection: connection.execute("DELETE FROM spans"))


def test_a_newer_history_is_refused(history_url: str, store: PostgresStore) -> None:
    execute(history_url, f"UPDATE {SCHEMA}.version SET version = 3")

    with pytest.raises(HistoryError, match=r"newer Sightline \(schema version 3, supported is 2\)"):
        open_store(history_url)


def test_another_schema_of_the_same_name_is_refused(history_url: str) -> None:
    execute(history_url, f"CREATE SCHEMA {SCHEMA}")

    with pytest.raises(HistoryError, match="is not a history"):
        open_store(history_url)


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        (("sightline:", "sightline:secret"), "password authentication failed"),
        (("test_", "missing_"), "does not exist"),
        (("port=", "port=1"), "cannot be used"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_without_the_password(
    history_url: str, replaced: tuple[str, str], message: str
) -> None:
    with pytest.raises(HistoryError, match=message) as failure:
        open_store(history_url.replace(*replaced))
    password = history_url.split(":")[2].split("@")[0]
    assert password not in str(failure.value) + repr(choose_backend(None, history_url))


def test_an_invalid_url_is_refused_without_repeating_it() -> None:
    with pytest.raises(HistoryError, match="with % and a code") as failure:
        choose_backend(None, "postgresql://user:100%secret@localhost/history")
    assert "secret" not in str(failure.value)


def test_without_the_driver_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [each for each in sys.modules if each.startswith("stream.history.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(HistoryError, match=r"pip install 'sightline\[cluster\]'"):
        choose_backend(None, "postgresql://localhost/history")


def test_the_driver_is_loaded_only_when_a_database_is_configured() -> None:
    code = "import sys, web.background; print('psycopg' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
