"""Expiry and deletion of spans."""

from pathlib import Path

import pytest

from stream.history.search import HistoryQuery, HistoryReader
from stream.history.store import Store
from tests.support.captions import BASE_TIME, caption_event, shorter_fallback

DAY_S = 86_400.0
WORDS = ("dog", "cat", "man", "street", "canoe", "snow", "jacket", "ball", "tree", "bird")


def fill(store: Store, count: int) -> None:
    for number in range(count):
        words = " ".join(f"{word}{number % 7}" for word in WORDS * 60)
        store.add(caption_event(shorter_fallback(f"Frame {number}", words), 60 * number))


def texts(reader: HistoryReader, words: str | None = None) -> list[str]:
    query = HistoryQuery.parse(None, None, None, words)
    return [span.text for span in reader.oldest(query, 500, None)]


def test_old_spans_are_deleted(path: Path, reader: HistoryReader, store: Store) -> None:
    for day in range(4):
        store.add(caption_event(f"A dog runs {day}", day * DAY_S))
    short = Store(path, days=2, megabytes=100)

    assert short.apply_retention(BASE_TIME + 3.5 * DAY_S) == 2
    assert short.apply_retention(BASE_TIME + 3.5 * DAY_S) == 0
    short.close()

    assert texts(reader) == texts(reader, "dogs") == ["A dog runs 2", "A dog runs 3"]


def test_above_the_size_limit_the_oldest_are_deleted_and_the_file_shrinks(
    path: Path, tmp_path: Path
) -> None:
    store = Store(path, days=36_500, megabytes=1)
    fill(store, 400)
    assert store.bytes > 1_200_000

    deleted = store.apply_retention(BASE_TIME)

    reader = HistoryReader(path)
    left = [span.text for span in reader.newest(HistoryQuery(), 500, None)]
    assert store.bytes <= 1_000_000
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 1_100_000
    assert left[:2] == ["Frame 399", "Frame 398"]
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
def test_deleted_spans_are_erased_from_the_file(
    path: Path, store: Store, reader: HistoryReader, query: HistoryQuery, left: list[str]
) -> None:
    for number in range(2):
        for offset, feed in enumerate(("yard", "door")):
            store.add(caption_event(f"{feed} {number}", 60 * number + offset, feed))

    assert store.delete(query) == 4 - len(left)

    assert texts(reader) == left
    content = path.read_bytes()
    for text in {"yard 0", "yard 1", "door 0", "door 1"} - set(left):
        assert text.encode() not in content


def test_a_caption_that_continues_after_a_deletion_starts_a_new_span(
    store: Store, reader: HistoryReader
) -> None:
    store.add(caption_event("A dog runs", 0))
    store.delete(HistoryQuery())
    store.add(caption_event("A dog runs", 2))

    assert texts(reader) == ["A dog runs"]
