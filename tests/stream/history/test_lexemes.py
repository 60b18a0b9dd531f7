"""The words of PostgreSQL's index are those of SQLite's: the same searches find the same spans."""

import random
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.catalogue import SHIPPED_FOLDER
from stream.history import BadQuery, HistoryQuery, Span
from stream.history.backend import choose_backend
from stream.history.postgres import search as search_module
from stream.history.postgres.lexemes import Lexemes
from stream.history.reader import HistoryReader
from stream.history.search_text import parse_search
from tests.support.captions import caption_event, shorter_fallback

WORDS = ("dog", "dogs", "run", "running", "naïve", "naive", "3d", "x-ray", "straße", "it's", "DOG")
ODD = (
    *("\u0130stanbul", "e\u0301te\u0301", "\u00b2", "\ufb01ne", "\u6771\u4eac", "a\u0300"),
    *("\U0001f415", "\u0e2a\u0e27", "_", "a_b"),
)
TEXTS = st.lists(st.sampled_from(WORDS + ODD), min_size=1, max_size=6).map(" ".join)
PARTS = (
    TEXTS
    | TEXTS.map('"{}"'.format)
    | TEXTS.map("{}*".format)
    | st.sampled_from(["OR", "NOT", "-", "(", ")", "*", '"'])
)
HALF_DAY_S = 43_200.0


@pytest.fixture
def readers(
    path: Path, history_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[HistoryReader]]:
    """Both databases with the same captions, in several partitions."""
    # So that PostgreSQL has to use its index after a few spans, as it would in a large history.
    monkeypatch.setattr(search_module, "_WALKED", 20)
    chance = random.Random(3)
    captions = [
        shorter_fallback(
            " ".join(chance.choices(WORDS + ODD, k=chance.randint(1, 5))),
            " ".join(chance.choices(WORDS + ODD, k=chance.randint(0, 5))),
            **dict.fromkeys(chance.sample(WORDS, chance.randint(0, 2)), 0.9),
        )
        for _ in range(150)
    ]
    readers = list[HistoryReader]()
    for backend in (choose_backend(path, None), choose_backend(None, history_url)):
        store = backend.open_store(36_500, 100)
        store.add_all(caption_event(each, HALF_DAY_S * at) for at, each in enumerate(captions))
        store.close()
        readers.append(backend.open_reader())
    yield readers
    for reader in readers:
        reader.close()


def test_both_databases_find_the_same(readers: list[HistoryReader]) -> None:
    found = set[int]()

    @settings(max_examples=300, deadline=None)
    @given(st.lists(PARTS, max_size=5))
    def search(parts: list[str]) -> None:
        try:
            query = HistoryQuery.parse(None, None, None, " ".join(parts))
        except BadQuery:
            return
        in_file, in_postgres = (list(pages(reader, query)) for reader in readers)
        assert in_file == in_postgres
        found.add(len(in_file))

    search()
    assert len(found) > 10


def pages(reader: HistoryReader, query: HistoryQuery) -> Iterator[Span]:
    """Yield pages from both ends."""
    for read in (reader.newest, reader.oldest):
        page = read(query, 7, None)
        yield from page
        yield from read(query, 9, page[-1].id) if page else ()


def test_timelines_of_both_databases_are_the_same(readers: list[HistoryReader]) -> None:
    for words in (None, "dog", '"dogs"', "run*", "-dog"):
        query = HistoryQuery.parse(None, None, None, words)
        of_file, of_postgres = (reader.timeline(query, 7) for reader in readers)
        for timeline in (of_file, of_postgres):
            for bucket in timeline["buckets"]:
                bucket["words"].sort(key=lambda word: (word["spans"], word["text"]))
        assert of_file == of_postgres


def test_stems_of_the_vocabulary_are_those_of_porters_algorithm(database_url: str) -> None:
    words = (SHIPPED_FOLDER / "vocabulary.txt").read_text(encoding="utf-8").split()
    words = [word for word in words if word.isalpha() and word.isascii()]
    lexemes = Lexemes()
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "CREATE TEXT SEARCH DICTIONARY porter (TEMPLATE = snowball, LANGUAGE = porter)"
        )
        rows = connection.execute(
            "SELECT word, (ts_lexize('porter', word))[1] FROM unnest(%s::text[]) AS word", (words,)
        ).fetchall()
        matches = connection.execute(
            "SELECT word FROM unnest(%s::text[], %s::text[], %s::text[]) "
            "AS made (word, vector, query) WHERE NOT vector::tsvector @@ query::tsquery",
            (
                words,
                [lexemes.vector(word) for word in words],
                [lexemes.query(parse_search(word)) for word in words],
            ),
        ).fetchall()

    stems = {word: lexemes._stems(word)[0] for word in words}
    lexemes.close()
    assert len(words) > 4000
    # SQLite leaves words of two letters as they are.
    assert {word: stem for word, stem in rows if word[2:] and stem != stems[word]} == {}
    assert matches == []
