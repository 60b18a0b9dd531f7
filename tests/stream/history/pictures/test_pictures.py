"""Pictures of spans: stored with them, deleted with them, and within their limits."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
import pytest

from inference.explanations import CaptionMaps, Map
from stream.captioning import CaptionEvent
from stream.history.backend import Backend, choose_backend
from stream.history.pictures import Picture, PictureLimits, maps_json
from stream.history.postgres.connection import SCHEMA
from stream.history.query import HistoryQuery
from stream.history.reader import HistoryReader
from stream.history.span import to_microseconds
from stream.history.sqlite import SqliteBackend
from stream.history.store import Store
from tests.support.captions import BASE_TIME, caption_event, confident_caption

DAY_S = 86_400.0
LIMITS = PictureLimits(days=30_000, megabytes=50)
SECRET = b"face of a visitor "


@pytest.fixture
def store(backend: Backend) -> Iterator[Store]:
    store = backend.open_store(36_500, 100, LIMITS)
    yield store
    store.close()


def add(store: Store, text: str, at_s: float = 0.0, feed: str = "yard", size: int = 5000) -> int:
    """Add a caption with a picture; return the id of its span."""
    span = store.add(caption_event(text, at_s, feed))
    assert span
    picture = Picture(span.id, (SECRET * size)[:size], "")
    assert store.keep_pictures([picture]) == [picture]
    return span.id


def fill(store: Store, texts: Iterable[str], size: Callable[[int], int]) -> None:
    """Add captions ten seconds apart, all in one partition, and then a picture of each."""
    events = [caption_event(text, 10 * number) for number, text in enumerate(texts)]
    store.add_all(events)
    spans = [to_microseconds(event.captured) for event in events]
    pictures = [Picture(span, bytes(size(number)), "") for number, span in enumerate(spans)]
    assert store.keep_pictures(pictures) == pictures


def pictured(reader: HistoryReader) -> list[str]:
    """Return the texts of the spans that have a picture."""
    spans = reader.oldest(HistoryQuery(end=4e9), 500, None)
    for span in spans:
        assert span.has_picture == (reader.picture(span.id) is not None)
    return [span.text for span in spans if span.has_picture]


def count_rows(backend: Backend) -> int:
    """Return how many pictures the database has, whether or not their spans exist."""
    count = "SELECT count(*) FROM pictures"
    if isinstance(backend, SqliteBackend):
        connection = sqlite3.connect(backend.path)
        ((rows,),) = connection.execute(count).fetchall()
        connection.close()
        return int(rows)
    with psycopg.connect(backend.url) as database:  # type: ignore[attr-defined]
        database.execute(f"SET search_path = {SCHEMA}".encode())
        ((rows,),) = database.execute(count.encode()).fetchall()
        return int(rows)


def test_a_picture_is_read_with_its_maps(store: Store, reader: HistoryReader) -> None:
    span = store.add(caption_event("A dog runs"))
    bare = store.add(caption_event("A cat sleeps", 60))
    assert span and bare
    image, maps = bytes(range(256)) * 50, maps_json(explained("A dog runs"))

    assert store.keep_pictures([Picture(span.id, image, maps)])

    assert reader.picture(span.id) == Picture(span.id, image, maps)
    assert reader.picture(bare.id) is None
    assert pictured(reader) == ["A dog runs"]


def test_a_span_has_one_picture_and_a_span_that_is_gone_has_none(
    backend: Backend, store: Store, reader: HistoryReader
) -> None:
    span = store.add(caption_event("A dog runs"))
    assert span
    first, second, orphan = (Picture(span.id + gap, bytes([gap]), "") for gap in (0, 0, 1))

    assert store.keep_pictures([first, orphan, second]) == [first]
    assert reader.picture(span.id) == first
    assert count_rows(backend) == 1


def explained(text: str) -> CaptionEvent:
    """Return a caption event with a map of each word."""
    caption = confident_caption(text)
    each = Map(np.eye(3, dtype=np.float32))
    maps = CaptionMaps("gradcam", tuple(each for _ in caption.words), each)
    return caption_event(replace(caption, maps=maps))


def test_maps_name_their_words_and_without_maps_nothing_is_stored() -> None:
    maps = json.loads(maps_json(explained("A dog runs")))

    assert [word["text"] for word in maps["words"]] == ["a", "dog", "runs"]
    assert maps["method"] == "gradcam"
    assert Map.from_json(maps["words"][1]["map"]).values.tolist() == np.eye(3).tolist()
    assert maps_json(caption_event("A dog runs")) == ""


@pytest.mark.parametrize(
    ("query", "left"),
    [
        (HistoryQuery(feed="yard"), ["door 0", "door 1"]),
        (HistoryQuery(end=BASE_TIME + DAY_S), ["yard 1", "door 1"]),
        (HistoryQuery(), []),
    ],
)
def test_pictures_are_deleted_with_their_spans_and_erased_from_a_file(
    backend: Backend, store: Store, reader: HistoryReader, query: HistoryQuery, left: list[str]
) -> None:
    for number in range(2):
        for offset, feed in enumerate(("yard", "door")):
            add(store, f"{feed} {number}", 2 * number * DAY_S + offset, feed)

    assert store.delete(query) == 4 - len(left)

    assert pictured(reader) == left
    assert count_rows(backend) == len(left)
    if isinstance(backend, SqliteBackend) and not left:
        assert SECRET not in backend.path.read_bytes()


def test_pictures_end_with_spans_that_are_too_old(
    backend: Backend, store: Store, reader: HistoryReader
) -> None:
    for day in range(6):
        add(store, f"Day {day}", day * DAY_S)
        add(store, f"Noon {day}", (day + 0.5) * DAY_S)
    short = backend.open_store(2, 100, LIMITS)

    # The oldest partition is dropped as a whole, another one loses some spans.
    short.apply_retention(BASE_TIME + 5.2 * DAY_S)
    short.close()

    assert pictured(reader) == ["Noon 3", "Day 4", "Noon 4", "Day 5", "Noon 5"]
    assert count_rows(backend) == 5


def test_pictures_end_with_spans_that_exceed_the_size(backend: Backend) -> None:
    store = backend.open_store(36_500, 1, LIMITS)
    # The same words again and again, as the databases index each word once.
    words = " ".join(("dog", "cat", "man", "street", "canoe", "snow", "jacket", "ball") * 75)
    texts = [f"Frame {number} {words}" for number in range(500)]
    fill(store, texts, lambda _: 100)
    reader = backend.open_reader()

    assert store.apply_retention(BASE_TIME) > 10

    left = reader.oldest(HistoryQuery(end=4e9), 500, None)
    assert left and all(span.has_picture for span in left)
    assert count_rows(backend) == len(left)
    reader.close()
    store.close()


def test_old_pictures_are_deleted_before_their_spans(
    backend: Backend, store: Store, reader: HistoryReader
) -> None:
    for day in range(4):
        add(store, f"Day {day}", day * DAY_S)
    short = backend.open_store(36_500, 100, PictureLimits(2, 50))

    assert short.apply_retention(BASE_TIME + 3.5 * DAY_S) == 0
    short.close()

    assert pictured(reader) == ["Day 2", "Day 3"]
    assert len(reader.oldest(HistoryQuery(), 9, None)) == 4
    assert count_rows(backend) == 2


def test_the_oldest_pictures_are_deleted_as_soon_as_all_are_too_large(
    backend: Backend, reader: HistoryReader
) -> None:
    store = backend.open_store(36_500, 100, PictureLimits(30_000, 1))
    store.add_all(caption_event(f"Frame {number}", 60 * number) for number in range(400))
    spans = reader.oldest(HistoryQuery(), 500, None)
    for begin in range(0, 400, 5):
        store.keep_pictures([Picture(span.id, bytes(10_000), "") for span in spans[begin:][:5]])
        assert count_rows(backend) <= 106

    left = pictured(reader)
    assert left == [f"Frame {number}" for number in range(400 - len(left), 400)]
    assert len(left) >= 90
    if isinstance(backend, SqliteBackend):
        assert backend.path.stat().st_size < 1_900_000
    store.close()


def test_pictures_do_not_push_captions_out(backend: Backend, reader: HistoryReader) -> None:
    store = backend.open_store(36_500, 1, LIMITS)
    before = store.bytes
    fill(store, map("Frame {}".format, range(300)), lambda number: 4000 + 37 * number)

    # Only the captions count, as far as a file lets them be told apart.
    assert 0 < store.bytes - before < 400_000
    assert store.apply_retention(BASE_TIME) == 0
    assert len(pictured(reader)) == 300
    store.close()


def test_without_pictures_those_of_before_are_deleted(
    backend: Backend, store: Store, reader: HistoryReader
) -> None:
    add(store, "A dog runs")
    off = backend.open_store(36_500, 100)

    assert off.apply_retention(BASE_TIME) == 0
    off.close()

    assert pictured(reader) == [] and count_rows(backend) == 0
    assert len(reader.oldest(HistoryQuery(), 9, None)) == 1
    if isinstance(backend, SqliteBackend):
        assert SECRET not in backend.path.read_bytes()


def test_a_history_without_pictures_gets_them(path: Path, history_url: str) -> None:
    for backend in (choose_backend(path, None), choose_backend(None, history_url)):
        store = backend.open_store(36_500, 100)
        store.add(caption_event("A cat sleeps", 60))
        store.close()
    undo = "DROP TRIGGER pictures_of_old{}; DROP TABLE pictures; {}"
    with sqlite3.connect(path) as file:
        file.executescript(undo.format("", "PRAGMA user_version = 2"))
    file.close()
    with psycopg.connect(history_url) as database:
        database.execute(f"SET search_path = {SCHEMA}".encode())
        update = "DROP FUNCTION delete_picture; UPDATE version SET version = 1"
        database.execute(undo.format(" ON spans", update).encode())

    for backend in (choose_backend(path, None), choose_backend(None, history_url)):
        store, reader = backend.open_store(36_500, 100, LIMITS), backend.open_reader()
        add(store, "A dog runs")
        assert pictured(reader) == ["A dog runs"]
        store.delete(HistoryQuery(end=BASE_TIME + 30))
        assert [span.text for span in reader.oldest(HistoryQuery(), 9, None)] == ["A cat sleeps"]
        assert count_rows(backend) == 0
        reader.close()
        store.close()
