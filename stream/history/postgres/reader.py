"""The reading side of a history in PostgreSQL."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from stream.history import HistoryBusy, HistoryError, HistoryQuery
from stream.history.postgres.connection import Connection, describe, describe_url
from stream.history.postgres.partitions import partition_begins
from stream.history.postgres.search import OrderedSearch, Range
from stream.history.reader import SAMPLED_SPANS, TIMEOUT_S, Bucket, HistoryReader
from stream.history.span import COLUMNS

_SESSION = {
    "default_transaction_read_only": "on",
    "statement_timeout": str(int(1000 * TIMEOUT_S)),
}

_COLUMNS = ", ".join(f"spans.{name}" for name in COLUMNS.split(", ")).replace(
    "spans.said", "coalesce(spans.said, spans.text)"
)

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
        self._search = OrderedSearch(self._fetch, lambda: self._connection.run(partition_begins))
        self._deadline = 0.0

    def bytes(self) -> int:
        """Return the size of all tables and their indexes; raises `HistoryError`."""
        with self._reading():
            ((size,),) = self._fetch(
                "SELECT (coalesce(sum(pg_total_relation_size(inhrelid)), 0) "
                "+ pg_total_relation_size('pictures'))::bigint "
                "FROM pg_inherits WHERE inhparent = 'spans'::regclass"
            )
        return int(size)

    def close(self) -> None:
        """Close the connection; safe to call more than once."""
        self._connection.close()
        self._search.close()

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
        return self._search.where(query)

    def _id(self, query: HistoryQuery) -> str:
        return "spans.id"

    def _select(
        self, query: HistoryQuery, limit: int, boundary: int | None, *, descending: bool
    ) -> list[tuple[Any, ...]]:
        ids = Range.beyond(boundary, descending=descending)
        return self._search.first(_COLUMNS, query, ids, limit, descending=descending)

    def _buckets(self, query: HistoryQuery, first: int, step: int) -> dict[int, Bucket]:
        clause, values = self._where(query)
        rows = self._fetch(
            f"SELECT (greatest(spans.id, ?) - ?) / ? AS bucket, count(*), sum(spans.captions) "
            f"FROM {clause} GROUP BY bucket",
            [first, first, step, *values],
        )
        return {
            number: Bucket(spans, captions, self._texts(query, first + number * step, step, first))
            for number, spans, captions in rows
        }

    def _texts(self, query: HistoryQuery, begin: int, step: int, first: int) -> list[str]:
        """Return the first texts of a bucket."""
        # The first bucket has the spans that started before it, too.
        ids = Range(begin, begin + step) if begin > first else Range(high=begin + step)
        rows = self._search.first("spans.text", query, ids, SAMPLED_SPANS)
        return [text for (text,) in rows]

    def _feeds(self) -> list[str]:
        return [feed for (feed,) in self._fetch(_FEEDS)]
