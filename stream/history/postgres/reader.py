"""The reading side of a history in PostgreSQL."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from stream.history import HistoryBusy, HistoryError, HistoryQuery
from stream.history.postgres.conditions import where
from stream.history.postgres.connection import Connection, describe, describe_url
from stream.history.postgres.lexemes import Lexemes
from stream.history.reader import SAMPLED_SPANS, TIMEOUT_S, Bucket, HistoryReader
from stream.history.span import COLUMNS

_SESSION = {
    "default_transaction_read_only": "on",
    "statement_timeout": str(int(1000 * TIMEOUT_S)),
}

_FEEDS = """
WITH RECURSIVE names AS (
  (SELECT feed FROM spans ORDER BY feed LIMIT 1)
  UNION ALL
  SELECT (SELECT spans.feed FROM spans WHERE spans.feed > names.feed ORDER BY spans.feed LIMIT 1)
  FROM names WHERE names.feed IS NOT NULL
)
SELECT feed FROM names WHERE feed IS NOT NULL
"""
"""A loose index scan: one lookup for each feed (https://wiki.postgresql.org/wiki/Loose_indexscan)."""


class PostgresReader(HistoryReader):
    """Reads the history while servers write; for one thread at a time."""

    def __init__(self, url: str) -> None:
        """Prepare a connection, which the first request makes.

        Args:
            url: URL of the database.
        """
        self._name = describe_url(url)
        self._connection = Connection(url, _SESSION)
        self._lexemes = Lexemes()
        self._deadline = 0.0

    def bytes(self) -> int:
        """Return the size of the tables and their indexes; raises `HistoryError`."""
        with self._reading():
            ((size,),) = self._fetch(
                "SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint "
                "FROM pg_inherits WHERE inhparent = 'spans'::regclass"
            )
        return int(size)

    def close(self) -> None:
        """Close the connection; safe to call more than once."""
        self._connection.close()
        self._lexemes.close()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        self._deadline = time.monotonic() + TIMEOUT_S
        try:
            yield
        except psycopg.errors.QueryCanceled as error:
            raise HistoryBusy("the request takes too long; choose a shorter time") from error
        except psycopg.Error as error:
            raise HistoryError(
                f"the history cannot be read from {self._name}: {describe(error)}"
            ) from error

    def _fetch(self, sql: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        if time.monotonic() > self._deadline:
            raise HistoryBusy("the request takes too long; choose a shorter time")
        statement, parameters = sql.replace("?", "%s").encode(), list(values)
        return self._connection.run(
            lambda connection: connection.execute(statement, parameters).fetchall()
        )

    def _where(self, query: HistoryQuery) -> tuple[str, list[Any]]:
        return where(query, self._lexemes)

    def _id(self, query: HistoryQuery) -> str:
        return "spans.id"

    @property
    def _columns(self) -> str:
        columns = ", ".join(f"spans.{name}" for name in COLUMNS.split(", "))
        return columns.replace("spans.said", "coalesce(spans.said, spans.text)")

    def _buckets(self, query: HistoryQuery, first: int, step: int) -> dict[int, Bucket]:
        clause, values = self._where(query)
        rows = self._fetch(
            f"SELECT (greatest(spans.id, ?) - ?) / ? AS bucket, count(*), sum(spans.captions), "
            f"min(spans.id) FROM {clause} GROUP BY bucket",
            [first, first, step, *values],
        )
        return {
            number: Bucket(spans, captions, self._texts(query, begin, first + (number + 1) * step))
            for number, spans, captions, begin in rows
        }

    def _texts(self, query: HistoryQuery, begin: int, end: int) -> list[str]:
        """Return the first texts of a bucket."""
        clause, values = self._where(query)
        rows = self._fetch(
            f"SELECT spans.text FROM {clause} AND spans.id >= ? AND spans.id < ? "
            "ORDER BY spans.id LIMIT ?",
            [*values, begin, end, SAMPLED_SPANS],
        )
        return [text for (text,) in rows]

    def _feeds(self) -> list[str]:
        return [feed for (feed,) in self._fetch(_FEEDS)]
