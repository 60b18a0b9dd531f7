from pathlib import Path

import pytest

from stream.history.search import Reading, Wanted
from stream.history.store import Store
from tests.support.captions import shorter
from tests.support.events import NOON, event

DAY_S = 86_400.0
WORDS = ("dog", "cat", "man", "street", "canoe", "snow", "jacket", "ball", "tree", "bird")


def fill(store: Store, count: int) -> None:
    for number in range(count):
        words = " ".join(f"{word}{number % 7}" for word in WORDS * 60)
        store.add(event(shorter(f"Picture {number}", words), 60 * number))


def texts(reading: Reading, words: str | None = None) -> list[str]:
    wanted = Wanted.of(None, None, None, words)
    return [span.text for span in reading.oldest(wanted, 500, None)]


def test_what_is_too_old_goes(path: Path, reading: Reading, store: Store) -> None:
    for day in range(4):
        store.add(event(f"A dog runs {day}", day * DAY_S))
    short = Store(path, days=2, megabytes=100)

    assert short.retain(NOON + 3.5 * DAY_S) == 2
    assert short.retain(NOON + 3.5 * DAY_S) == 0
    short.close()

    assert texts(reading) == texts(reading, "dogs") == ["A dog runs 2", "A dog runs 3"]


def test_of_too_much_the_oldest_goes_and_the_file_shrinks(path: Path, tmp_path: Path) -> None:
    store = Store(path, days=36_500, megabytes=1)
    fill(store, 400)
    assert store.bytes > 1_200_000

    deleted = store.retain(NOON)

    reading = Reading(path)
    left = [span.text for span in reading.newest(Wanted(), 500, None)]
    assert store.bytes <= 1_000_000
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 1_100_000
    assert left[:2] == ["Picture 399", "Picture 398"]
    assert not texts(reading, f"picture {deleted - 1}")
    assert texts(reading, f"picture {deleted}")
    assert store.retain(NOON) == 0
    reading.close()
    store.close()


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        (Wanted(feed="yard"), ["door 0", "door 1"]),
        (Wanted(begin=NOON + 60), ["yard 0", "door 0"]),
        (Wanted(end=NOON + 60), ["yard 1", "door 1"]),
        (Wanted(), []),
    ],
)
def test_what_is_to_be_deleted_is_gone_from_the_file_too(
    path: Path, store: Store, reading: Reading, wanted: Wanted, left: list[str]
) -> None:
    for number in range(2):
        for offset, feed in enumerate(("yard", "door")):
            store.add(event(f"{feed} {number}", 60 * number + offset, feed))

    assert store.delete(wanted) == 4 - len(left)

    assert texts(reading) == left
    content = path.read_bytes()
    for text in {"yard 0", "yard 1", "door 0", "door 1"} - set(left):
        assert text.encode() not in content


def test_what_goes_on_after_a_deletion_is_kept(store: Store, reading: Reading) -> None:
    store.add(event("A dog runs", 0))
    store.delete(Wanted())
    store.add(event("A dog runs", 2))

    assert texts(reading) == ["A dog runs"]
