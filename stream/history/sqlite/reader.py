"""The reading side of a history in SQLite."""

import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stream.history import HistoryBusy, HistoryError, HistoryQuery
from stream.history.reader import SAMPLED_SPANS, TIMEOUT_S, Bucket, HistoryReader
from stream.history.span import COLUMNS
from stream.history.sqlite.conditions import condition_of, id_column, where
from stream.history.sqlite.database import open_read_only

_TIMEOUT_CHECK_STEPS = 20_000
"""Number of SQLite's virtual machine steps between checks of the timeout; some milliseconds."""


class SqliteReader(HistoryReader):
    """Reads a file while the store writes; for one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open the file, which the store must have opened before.

        Raises:
            HistoryError: If it cannot be opened.
        """
        self._connection = open_read_only(path)

    def bytes(self) -> int:
        """Return the size of the file; raises `HistoryError`."""
        with self._reading():
            ((pages, size),) = self._fetch(
                "SELECT page_count, page_size FROM pragma_page_count, pragma_page_size"
            )
        total: int = pages * size
        return total

    def close(self) -> None:
        """Close the file; safe to call more than once."""
        self._connection.close()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Interrupt queries that take too long, because other queries wait for this thread."""
        deadline = time.monotonic() + TIMEOUT_S
        self._connection.set_progress_handler(
            lambda: time.monotonic() > deadline, _TIMEOUT_CHECK_STEPS
        )
        try:
            yield
        except sqlite3.Error as problem:
            if getattr(problem, "sqlite_errorname", "") == "SQLITE_INTERRUPT":
                raise HistoryBusy("the request takes too long; choose a shorter time") from problem
            raise HistoryError(f"the history cannot be read: {problem}") from problem
        finally:
            self._connection.set_progress_handler(None, 0)

    def _fetch(self, sql: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, list(values)).fetchall()

    def _where(self, query: HistoryQuery) -> tuple[str, list[Any]]:
        return where(query)

    def _id(self, query: HistoryQuery) -> str:
        return id_column(query)

    def _select(
        self, query: HistoryQuery, limit: int, boundary: int | None, *, descending: bool
    ) -> list[tuple[Any, ...]]:
        clause, values = where(query)
        column = id_column(query)
        comparison, direction = ("<", "DESC") if descending else (">", "ASC")
        if boundary is not None:
            clause += f" AND {column} {comparison} ?"
            values.append(boundary)
        columns = ", ".join(f"spans.{name}" for name in COLUMNS.split(", "))
        sql = f"SELECT {columns} FROM {clause} ORDER BY {column} {direction} LIMIT ?"
        return self._fetch(sql, [*values, limit])

    def _buckets(self, query: HistoryQuery, first: int, step: int) -> dict[int, Bucket]:
        clause, values = where(query)
        column = id_column(query)
        number = f"(max({column}, ?) - ?) / ?"
        values = [first, first, step, *values]
        buckets: defaultdict[int, Bucket] = defaultdict(Bucket)
        if condition_of(query.words).sql:
            # In one pass: to evaluate the condition for each bucket would take long.
            sql = f"SELECT {number}, spans.captions, spans.text FROM {clause} ORDER BY {column}"
            for index, captions, text in self._connection.execute(sql, values):
                bucket = buckets[index]
                bucket.spans += 1
                bucket.captions += captions
                if len(bucket.texts) < SAMPLED_SPANS:
                    bucket.texts.append(text)
            return buckets
        sql = f"SELECT {number}, count(*), sum(spans.captions) FROM {clause} GROUP BY 1"
        for index, spans, captions in self._fetch(sql, values):
            # The first bucket has the spans that started before it, too.
            begin = first + index * step if index else 0
            texts = self._texts(query, begin, first + (index + 1) * step)
            buckets[index] = Bucket(spans, captions, texts)
        return buckets

    def _texts(self, query: HistoryQuery, begin: int, end: int) -> list[str]:
        """Return the first texts of a bucket."""
        clause, values = where(query)
        column = id_column(query)
        rows = self._connection.execute(
            f"SELECT spans.text FROM {clause} AND {column} >= ? AND {column} < ? "
            f"ORDER BY {column} LIMIT ?",
            [*values, begin, end, SAMPLED_SPANS],
        )
        return [text for (text,) in rows]

    def _feeds(self) -> list[str]:
        """Return the names of all feeds, with one index lookup each (a loose index scan)."""
        names, after = list[str](), ""
        sql = "SELECT feed FROM spans WHERE feed > ? ORDER BY feed LIMIT 1"
        while row := self._connection.execute(sql, (after,)).fetchone():
            (after,) = row
            names.append(after)
        return names
