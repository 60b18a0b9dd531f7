"""The stemmer of the full-text index, for texts that are not in it."""

import sqlite3
from collections.abc import Callable
from functools import lru_cache

from stream.history import HistoryError
from stream.history.sqlite.database import TOKENIZER

_CACHED = 50_000


class Stemmer:
    """Takes texts apart into stems as SQLite's full-text index does; for one thread at a time."""

    def __init__(self) -> None:
        """Prepare SQLite's tokenizer; raises `HistoryError` if this Python's has none."""
        self._connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False
        )
        try:
            self._connection.executescript(
                f"CREATE VIRTUAL TABLE texts USING fts5(text, tokenize='{TOKENIZER}');"
                "CREATE VIRTUAL TABLE tokens USING fts5vocab(texts, 'instance');"
            )
        except sqlite3.Error as problem:
            self._connection.close()
            raise HistoryError(
                "this Python's SQLite has no full-text search (FTS5); use another Python"
            ) from problem
        self.stems_of: Callable[[str], tuple[str, ...]] = lru_cache(_CACHED)(self._tokenize)
        """Returns the stems of a word; none or several if the tokenizer sees no single word."""

    def close(self) -> None:
        """Close the tokenizer."""
        self._connection.close()

    def _tokenize(self, text: str) -> tuple[str, ...]:
        self._connection.execute("INSERT INTO texts (rowid, text) VALUES (1, ?)", (text,))
        rows = self._connection.execute("SELECT term FROM tokens ORDER BY offset").fetchall()
        self._connection.execute("DELETE FROM texts")
        return tuple(term for (term,) in rows)
