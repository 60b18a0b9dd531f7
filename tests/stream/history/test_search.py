"""Search by words, feed and time, and the timeline."""

from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.history.backend import Backend
from stream.history.query import HistoryQuery
from stream.history.reader import HistoryReader
from stream.history.search_text import BadQuery, parse_search
from stream.history.store import Store
from tests.support.captions import BASE_TIME, caption_event, confident_caption, tags_fallback


@pytest.fixture(autouse=True)
def _captions(store: Store) -> None:
    captions = [
        ("yard", confident_caption("Two dogs run through the snow")),
        ("door", confident_caption("A man in a red jacket")),
        ("yard", confident_caption("A man sits", dog=0.9)),
        ("door", tags_fallback("A dog on a sofa", laptop=0.9)),
        ("yard", confident_caption("An empty street")),
        ("door", confident_caption("Three men carry a canoe, naïvely")),
    ]
    for number, (feed, caption) in enumerate(captions):
        store.add(caption_event(caption, 60 * number, feed))


def texts(reader: HistoryReader, words: str | None = None, **criteria: Any) -> list[str]:
    feed, begin, end = (criteria.get(name) for name in ("feed", "begin", "end"))
    query = HistoryQuery.parse(feed, begin, end, words)
    return [span.text for span in reader.newest(query, 100, None)]


def test_words_are_found_in_any_form_in_text_objects_and_guess(reader: HistoryReader) -> None:
    dogs = ["Laptop", "A man sits", "Two dogs run through the snow"]
    for words in ("dog", "DOGS", " dog! ", "when was there a dog?", "did you see any dogs"):
        assert texts(reader, words) == dogs
    assert texts(reader, "running dog") == dogs[2:]
    assert texts(reader, "cat") == []
    assert texts(reader, "naively") == ["Three men carry a canoe, naïvely"]


def test_quoted_words_are_a_phrase(reader: HistoryReader) -> None:
    assert texts(reader, '"red jacket"') == ["A man in a red jacket"]
    assert texts(reader, '"jacket red"') == []
    assert texts(reader, "jacket red") == ["A man in a red jacket"]


def test_quoted_words_are_found_as_they_are_written(reader: HistoryReader) -> None:
    assert texts(reader, '"dogs"') == ["Two dogs run through the snow"]
    assert texts(reader, '"Carry a canoe, naively"') == ["Three men carry a canoe, naïvely"]
    assert texts(reader, '"a man sits" dog') == ["A man sits"]


CANOE, STREET, LAPTOP, SITS, JACKET, SNOW = (
    "Three men carry a canoe, naïvely",
    "An empty street",
    "Laptop",
    "A man sits",
    "A man in a red jacket",
    "Two dogs run through the snow",
)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("street OR jacket", [STREET, JACKET]),
        ("street OR canoe OR jacket", [CANOE, STREET, JACKET]),
        ("man sits OR jacket", [SITS, JACKET]),
        ("dog AND snow", [SNOW]),
        ("dog -snow", [LAPTOP, SITS]),
        ("dog -sits -snow", [LAPTOP]),
        ("dog NOT snow", [LAPTOP, SITS]),
        ('man -"red jacket"', [SITS]),
        ('man -"jacket red"', [SITS, JACKET]),
        ("-dog", [CANOE, STREET, JACKET]),
        ("NOT dog NOT man", [CANOE, STREET]),
        ("street OR -dog", [CANOE, STREET, JACKET]),
        ("jack*", [JACKET]),
        ("runn*", []),
        ("ru*", [SNOW]),
        ("DO*", [LAPTOP, SITS, SNOW]),
        ("naï*", [CANOE]),
        ("s*", [STREET, LAPTOP, SITS, SNOW]),
        ("dog s* -laptop", [SITS, SNOW]),
        ("st* OR jack*", [STREET, JACKET]),
        ("man -jack*", [SITS]),
        ("(street OR canoe) -three", [STREET]),
        ("(man jacket) OR (dog snow)", [JACKET, SNOW]),
        ("dog -(snow OR laptop)", [SITS]),
        ("-(dog OR man)", [CANOE, STREET]),
        ("or", []),
        ("men or dog", []),
        ("dog OR", [LAPTOP, SITS, SNOW]),
        ("(dog snow", [SNOW]),
        ("dog) snow", [SNOW]),
        ("dog - snow", [SNOW]),
        ("snow,dog", [SNOW]),
        ("red-jacket", [JACKET]),
        ("jacket-red", []),
    ],
)
def test_operators_do_what_they_do_in_other_search_boxes(
    reader: HistoryReader, words: str, found: list[str]
) -> None:
    assert texts(reader, words) == found


def test_deep_nesting_and_long_chains_of_operators_are_refused(reader: HistoryReader) -> None:
    for words in ("(" * 5000 + "dog", "-(" * 5000 + "dog", "NOT " * 5000):
        with pytest.raises(BadQuery):
            texts(reader, words)
    assert texts(reader, "NOT " * 5000 + "dog snow") == [SNOW]


def test_function_words_count_if_there_are_no_others(reader: HistoryReader) -> None:
    assert texts(reader, "through the") == ["Two dogs run through the snow"]


def test_feed_and_time_restrict_the_search(reader: HistoryReader) -> None:
    assert texts(reader, "dog", feed="yard") == ["A man sits", "Two dogs run through the snow"]
    assert texts(reader, "dog", begin=BASE_TIME + 110, end=BASE_TIME + 180) == ["A man sits"]
    assert texts(reader, begin=BASE_TIME + 200) == [
        "Three men carry a canoe, naïvely",
        "An empty street",
    ]
    assert texts(reader, feed="cellar") == []


def test_a_span_that_started_before_the_given_time_is_found(
    store: Store, reader: HistoryReader
) -> None:
    for at in range(1000, 1021, 5):
        store.add(caption_event("A bird sings", at, "tree"))
    store.flush()

    assert texts(reader, begin=BASE_TIME + 1010, end=BASE_TIME + 1011) == ["A bird sings"]
    assert texts(reader, "bird", begin=BASE_TIME + 1021) == []


def test_pages_contain_each_span_once(reader: HistoryReader) -> None:
    pages, before = [], None
    while page := reader.newest(HistoryQuery(), 4, before):
        pages.append([span.text for span in page])
        before = page[-1].id

    assert [len(page) for page in pages] == [4, 2]
    assert list(chain(*pages)) == texts(reader)


@pytest.mark.parametrize("words", ["", "   ", '"', "?!", "---", "x " * 17])
def test_text_without_words_is_refused(words: str) -> None:
    with pytest.raises(BadQuery):
        parse_search(words)


@pytest.mark.parametrize("times", [(-1.0, None), (float("nan"), None), (None, 1e99), (2.0, 1.0)])
def test_invalid_times_are_refused(times: tuple[float | None, float | None]) -> None:
    with pytest.raises(BadQuery):
        HistoryQuery.parse(None, *times, None)


FTS = st.sampled_from(
    ['"', "*", "(", ")", "-(", "NEAR", "AND", "OR", "NOT", "-", "-a", "b*", ":", "^", "{", "text"]
)


def test_no_text_is_a_syntax_error(backend: Backend, store: Store) -> None:
    reader = backend.open_reader()

    @settings(max_examples=300, deadline=None)
    @given(st.text() | st.lists(FTS | st.text(max_size=3), max_size=12).map(" ".join))
    def search(words: str) -> None:
        try:
            query = HistoryQuery.parse(None, None, None, words)
        except BadQuery:
            return
        reader.newest(query, 5, None)

    try:
        search()
    finally:
        reader.close()


def test_the_timeline_contains_counts_and_top_words(reader: HistoryReader) -> None:
    timeline = reader.timeline(HistoryQuery(begin=BASE_TIME, end=BASE_TIME + 360), 3)

    assert timeline["feeds"] == ["door", "yard"]
    assert (timeline["from"], timeline["to"]) == (BASE_TIME, BASE_TIME + 360)
    assert [bucket["spans"] for bucket in timeline["buckets"]] == [2, 2, 2]
    assert [bucket["from"] - BASE_TIME for bucket in timeline["buckets"]] == [0, 120, 240]
    words = [word["text"] for word in timeline["buckets"][0]["words"]]
    assert {"dogs", "snow"} <= {*words, "dogs"} and "the" not in words


def test_the_timeline_of_a_search_counts_its_matches(reader: HistoryReader) -> None:
    timeline = reader.timeline(HistoryQuery.parse(None, None, None, "dog"), 6)

    assert [bucket["spans"] for bucket in timeline["buckets"]] == [1, 0, 1, 1, 0, 0]
    assert sum(bucket["captions"] for bucket in timeline["buckets"]) == 3
