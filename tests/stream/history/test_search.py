import sqlite3
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.history.search import BadQuery, Reading, Wanted, match_of
from stream.history.store import Store
from tests.support.captions import objects_only, sure
from tests.support.events import NOON, event


@pytest.fixture(autouse=True)
def _said(store: Store) -> None:
    said = [
        ("yard", sure("Two dogs run through the snow")),
        ("door", sure("A man in a red jacket")),
        ("yard", sure("A man sits", dog=0.9)),
        ("door", objects_only("A dog on a sofa", laptop=0.9)),
        ("yard", sure("An empty street")),
        ("door", sure("Three men carry a canoe, naïvely")),
    ]
    for number, (feed, caption) in enumerate(said):
        store.add(event(caption, 60 * number, feed))


def texts(reading: Reading, words: str | None = None, **wanted: Any) -> list[str]:
    chosen = Wanted.of(wanted.get("feed"), wanted.get("begin"), wanted.get("end"), words)
    return [span.text for span in reading.newest(chosen, 100, None)]


def test_a_word_is_found_in_any_form_in_text_objects_and_guess(reading: Reading) -> None:
    dogs = ["Laptop", "A man sits", "Two dogs run through the snow"]
    for words in ("dog", "DOGS", " dog! ", "when was there a dog?", "did you see any dogs"):
        assert texts(reading, words) == dogs
    assert texts(reading, "running dog") == dogs[2:]
    assert texts(reading, "cat") == []
    assert texts(reading, "naively") == ["Three men carry a canoe, naïvely"]


def test_words_in_quotes_stand_side_by_side(reading: Reading) -> None:
    assert texts(reading, '"red jacket"') == ["A man in a red jacket"]
    assert texts(reading, '"jacket red"') == []
    assert texts(reading, "jacket red") == ["A man in a red jacket"]


def test_of_words_that_mean_nothing_all_count_when_there_are_no_others(reading: Reading) -> None:
    assert texts(reading, "through the") == ["Two dogs run through the snow"]


def test_by_feed_and_time(reading: Reading) -> None:
    assert texts(reading, "dog", feed="yard") == ["A man sits", "Two dogs run through the snow"]
    assert texts(reading, "dog", begin=NOON + 110, end=NOON + 180) == ["A man sits"]
    assert texts(reading, begin=NOON + 200) == [
        "Three men carry a canoe, naïvely",
        "An empty street",
    ]
    assert texts(reading, feed="cellar") == []


def test_a_span_that_began_before_the_time_asked_for_is_found(
    store: Store, reading: Reading
) -> None:
    for at in range(1000, 1021, 5):
        store.add(event("A bird sings", at, "tree"))
    store.note_ends()

    assert texts(reading, begin=NOON + 1010, end=NOON + 1011) == ["A bird sings"]
    assert texts(reading, "bird", begin=NOON + 1021) == []


def test_page_by_page_all_is_seen_once(reading: Reading) -> None:
    pages, before = [], None
    while page := reading.newest(Wanted(), 4, before):
        pages.append([span.text for span in page])
        before = page[-1].id

    assert [len(page) for page in pages] == [4, 2]
    assert list(chain(*pages)) == texts(reading)


@pytest.mark.parametrize("words", ["", "   ", '"', "?!", "---", "x " * 17])
def test_words_that_are_none_are_refused(words: str) -> None:
    with pytest.raises(BadQuery):
        match_of(words)


@pytest.mark.parametrize("times", [(-1.0, None), (float("nan"), None), (None, 1e99), (2.0, 1.0)])
def test_times_that_cannot_be_are_refused(times: tuple[float | None, float | None]) -> None:
    with pytest.raises(BadQuery):
        Wanted.of(None, *times, None)


FTS = st.sampled_from(['"', "*", "(", ")", "NEAR", "AND", "OR", "NOT", "-", ":", "^", "{", "text"])


def test_no_text_is_ever_taken_for_syntax(path: Any, store: Store) -> None:
    reading = Reading(path)

    @settings(max_examples=300, deadline=None)
    @given(st.text() | st.lists(FTS | st.text(max_size=3), max_size=12).map(" ".join))
    def ask(words: str) -> None:
        try:
            wanted = Wanted.of(None, None, None, words)
        except BadQuery:
            return
        reading.newest(wanted, 5, None)

    try:
        ask()
    finally:
        reading.close()


def test_a_reader_cannot_write(reading: Reading) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reading._connection.execute("DELETE FROM spans")


def test_the_timeline_counts_and_names_what_was_said_most(reading: Reading) -> None:
    line = reading.timeline(Wanted(begin=NOON, end=NOON + 360), 3)

    assert line["feeds"] == ["door", "yard"]
    assert (line["from"], line["to"]) == (NOON, NOON + 360)
    assert [bucket["spans"] for bucket in line["buckets"]] == [2, 2, 2]
    assert [bucket["from"] - NOON for bucket in line["buckets"]] == [0, 120, 240]
    words = [word["text"] for word in line["buckets"][0]["words"]]
    assert {"dogs", "snow"} <= {*words, "dogs"} and "the" not in words


def test_the_timeline_of_what_is_sought(reading: Reading) -> None:
    line = reading.timeline(Wanted.of(None, None, None, "dog"), 6)

    assert [bucket["spans"] for bucket in line["buckets"]] == [1, 0, 1, 1, 0, 0]
    assert sum(bucket["captions"] for bucket in line["buckets"]) == 3
