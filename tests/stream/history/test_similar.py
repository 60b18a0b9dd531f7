"""Searches by synonyms and with a word missing, in SQLite and in PostgreSQL."""

import pytest

from stream.history import MATCHES, HistoryQuery, synonyms_in, with_match, with_synonyms
from stream.history.reader import HistoryReader
from stream.history.store import Store
from tests.support.captions import caption_event

DOG = "A dog runs across grass"
PUPPY = "A puppy on the lawn"
SNOW = "Two puppies in snow"
HORSE = "A horse on a meadow"
MEN = "Two men with a red ball"
BOX = "A boy holds a red box"


@pytest.fixture(autouse=True)
def _captions(store: Store) -> None:
    for number, text in enumerate((DOG, PUPPY, SNOW, HORSE, MEN, BOX)):
        store.add(caption_event(text, 60 * number))


def found(reader: HistoryReader, words: str) -> dict[str, list[str]]:
    """Return the captions that fit a search, by how they fit."""
    lists: dict[str, list[str]] = {}
    for match in MATCHES:
        query = with_match(HistoryQuery.parse(None, None, None, words), match)
        spans = reader.newest(query, 100, None) if query else []
        if spans:
            lists[match] = [span.text for span in spans]
    return lists


@pytest.mark.parametrize(
    ("words", "lists"),
    [
        ("puppy on the lawn", {"exact": [PUPPY], "similar": [DOG]}),
        ("when was there a puppy?", {"exact": [SNOW, PUPPY], "similar": [DOG]}),
        # More specific words are found, more general ones are not.
        ("animal", {"similar": [HORSE, SNOW, PUPPY, DOG]}),
        ("poodle", {}),
        ("man", {"similar": [MEN]}),
        ("dog snow", {"similar": [SNOW]}),
        ("dog grass run", {"exact": [DOG], "partial": [PUPPY]}),
        ("guys red balloon", {"partial": [MEN]}),
        # What is quoted, cut off or excluded stays as it is.
        ('"puppy"', {"exact": [PUPPY]}),
        ("pup*", {"exact": [SNOW, PUPPY]}),
        ("animal -dog", {"similar": [HORSE, SNOW, PUPPY]}),
        ('animal -"on the lawn"', {"similar": [HORSE, SNOW, DOG]}),
        ('child "red box"', {"similar": [BOX]}),
        ('guy child horse "red box"', {}),
        ("(kitten OR puppy) snow", {"exact": [SNOW]}),
        ("kitten OR puppy", {"exact": [SNOW, PUPPY], "similar": [DOG]}),
        ("-dog", {"exact": [BOX, MEN, HORSE, SNOW, PUPPY]}),
        ("the", {"exact": [PUPPY]}),
    ],
)
def test_a_search_also_finds_what_means_the_same(
    reader: HistoryReader, words: str, lists: dict[str, list[str]]
) -> None:
    assert found(reader, words) == lists


def test_the_widened_query_finds_exact_and_similar_spans(reader: HistoryReader) -> None:
    query = HistoryQuery.parse(None, None, None, "puppy on the lawn")

    assert [span.text for span in reader.newest(with_synonyms(query), 10, None)] == [PUPPY, DOG]
    assert sum(each["spans"] for each in reader.timeline(with_synonyms(query), 3)["buckets"]) == 2
    assert {"dog", "grass"} <= set(synonyms_in(query))
    assert with_synonyms(HistoryQuery()) == HistoryQuery()


def test_no_word_may_be_missing_of_very_many(reader: HistoryReader) -> None:
    words = "dog grass run red ball box man"
    assert with_match(HistoryQuery.parse(None, None, None, words), "partial") is None
    assert found(reader, words) == {}
