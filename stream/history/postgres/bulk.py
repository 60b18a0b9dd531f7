"""Writing many past spans at once, by COPY."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from stream.history import Firing, HistoryError, Picture, Span
from stream.history.firing import FIRING_COLUMNS
from stream.history.postgres.connection import Connection, describe, describe_url
from stream.history.postgres.lexemes import Lexemes
from stream.history.postgres.partitions import Partition, Partitions
from stream.history.postgres.rows import to_row
from stream.history.postgres.schema import COLUMNS, SCHEMA_LOCK, prepare_schema

_BATCH = 20_000
_SPAN_BYTES = 420
"""Approximate size of a span with its share of the indexes."""

_INSERT_PICTURE = """
INSERT INTO pictures (span, size, maps, image)
SELECT id, %s, %s, %s FROM spans WHERE id >= %s AND id < %s AND feed = %s AND text = %s
ORDER BY id LIMIT 1
ON CONFLICT (span) DO NOTHING
"""
_MAX_MOVED = 1000
"""How far from its own id a span may have been inserted, in microseconds."""

_SESSION = {"maintenance_work_mem": "256MB"}
_MERGE = f"""
INSERT INTO spans ({COLUMNS}) SELECT {COLUMNS} FROM {{}}
ON CONFLICT (id) DO UPDATE
SET ended = excluded.ended, captions = excluded.captions, confidence = excluded.confidence
WHERE spans.feed = excluded.feed AND spans.text = excluded.text
AND spans.captions < excluded.captions
"""
_CONFLICTS = """
SELECT {columns} FROM {table} AS incoming WHERE EXISTS (
  SELECT FROM spans WHERE spans.id = incoming.id
  AND (spans.feed <> incoming.feed OR spans.text <> incoming.text)
)
"""

_END_FIRINGS = """
UPDATE firings SET ended = incoming.ended FROM incoming
WHERE (firings.rule, firings.feed, firings.began) = (incoming.rule, incoming.feed, incoming.began)
AND firings.ended < incoming.ended
"""
_ADD_FIRINGS = """
INSERT INTO incoming SELECT {columns} FROM firings
ON CONFLICT (rule, feed, began) DO UPDATE SET ended = excluded.ended
"""
_REPLACE_FIRINGS = """
INSERT INTO firings ({columns}) SELECT {columns} FROM incoming ORDER BY began, rule, feed
"""

Result = TypeVar("Result")
PostgresConnection = psycopg.Connection[tuple[Any, ...]]


class BulkWriter:
    """Writes past spans, beside servers that write new ones; writing some again changes nothing."""

    def __init__(self, url: str, days: float, megabytes: float) -> None:
        """Connect, and create the tables if they do not exist; as `PostgresStore`.

        Raises:
            HistoryError: If the database cannot be used.
        """
        self._name = describe_url(url)
        self._partitions = Partitions(days, megabytes * 1e6)
        self._lexemes = Lexemes()
        self._connection = Connection(url, _SESSION)
        try:
            self._run(lambda connection: prepare_schema(connection, self._name))
        except BaseException:
            self.close()
            raise

    def write(self, spans: Iterable[Span], per_s: float) -> Iterator[int]:
        """Write spans.

        Args:
            spans: The spans, in the order of their ids.
            per_s: How many there are in a second, on average.

        Yields:
            The number of spans of each transaction, once it is committed.

        Raises:
            HistoryError: If they cannot be written; those of earlier transactions are.
        """
        duration_s = self._partitions.target_bytes / (_SPAN_BYTES * per_s)
        source = _Peekable(spans)
        while (first := source.peek()) is not None:
            known = self._run(self._partitions.find)
            partition = next((each for each in known if each.holds(first.id)), None)
            if partition:
                yield self._merge(list(islice(source.take_while(partition), _BATCH)))
            else:
                partition = self._partitions.plan(known, first.id, duration_s)
                yield self._load(partition, source.take_while(partition))

    def write_pictures(self, pictures: Sequence[tuple[Picture, Span]]) -> None:
        """Write the pictures of spans that were written; those that have one keep it.

        Raises:
            HistoryError: If they cannot be written.
        """

        def insert(connection: PostgresConnection) -> None:
            with connection.transaction():
                for picture, span in pictures:
                    values = (picture.size, picture.maps, picture.image)
                    place = (span.id, span.id + _MAX_MOVED, span.feed, span.text)
                    connection.execute(_INSERT_PICTURE, (*values, *place))

        self._run(insert)

    def write_firings(self, firings: Sequence[Firing]) -> None:
        """Write firings that have ended, or later ends of those that were written.

        They are listed in the order of their numbers, so those that are there are numbered anew
        if there are new ones.

        Args:
            firings: The firings, each once.

        Raises:
            HistoryError: If they cannot be written; none are.
        """
        columns = sql.SQL(FIRING_COLUMNS)

        def write(connection: PostgresConnection) -> None:
            with connection.transaction():
                # Servers go on reading, and write once this is done.
                connection.execute("LOCK TABLE firings IN SHARE ROW EXCLUSIVE MODE")
                connection.execute(
                    sql.SQL(
                        "CREATE TEMPORARY TABLE incoming ON COMMIT DROP AS "
                        "SELECT {} FROM firings WITH NO DATA"
                    ).format(columns)
                )
                connection.execute("CREATE UNIQUE INDEX ON incoming (rule, feed, began)")
                statement = sql.SQL("COPY incoming ({}) FROM STDIN").format(columns)
                with connection.cursor() as cursor, cursor.copy(statement) as copy:
                    for firing in firings:
                        copy.write_row(firing.to_row())
                connection.execute(_END_FIRINGS)
                before = connection.execute("SELECT count(*) FROM firings").fetchone()
                connection.execute(sql.SQL(_ADD_FIRINGS).format(columns=columns))
                if connection.execute("SELECT count(*) FROM incoming").fetchone() != before:
                    connection.execute("DELETE FROM firings")
                    connection.execute(sql.SQL(_REPLACE_FIRINGS).format(columns=columns))

        self._run(write)

    def missing(self, ids: list[int]) -> list[int]:
        """Return which ids no span has; raises `HistoryError`."""
        statement = (
            "SELECT id FROM unnest(%s::bigint[]) AS id "
            "WHERE NOT EXISTS (SELECT FROM spans WHERE spans.id = id.id)"
        )
        rows = self._run(lambda connection: connection.execute(statement, (ids,)).fetchall())
        return [span_id for (span_id,) in rows]

    def bytes(self) -> int:
        """Return the size of all spans and their indexes; raises `HistoryError`."""
        return sum(partition.bytes for partition in self._run(self._partitions.find))

    def close(self) -> None:
        """Close the connection; safe to call more than once."""
        self._connection.close()
        self._lexemes.close()

    def _load(self, partition: Partition, spans: Iterator[Span]) -> int:
        """Write all spans of a new partition, whose indexes are built at the end."""

        def load(connection: PostgresConnection) -> int:
            with connection.transaction():
                self._partitions.create_table(connection, partition)
                count = self._copy(connection, partition.table, spans)
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
                known = self._partitions.find(connection)
                if any(partition.overlaps(each) for each in known):
                    raise HistoryError(
                        f"{self._name} got spans of the same time meanwhile; run the command again"
                    )
                self._partitions.attach(connection, partition)
            connection.execute(sql.SQL("ANALYZE {}").format(partition.table))
            return count

        return self._run(load, is_repeatable=False)

    def _merge(self, spans: list[Span]) -> int:
        """Write spans into partitions that exist."""
        incoming = sql.Identifier("incoming")

        def merge(connection: PostgresConnection) -> int:
            with connection.transaction():
                connection.execute(
                    "CREATE TEMPORARY TABLE incoming (LIKE spans INCLUDING DEFAULTS) ON COMMIT DROP"
                )
                self._copy(connection, incoming, spans)
                connection.execute(sql.SQL(_MERGE).format(incoming))
                conflicts = sql.SQL(_CONFLICTS).format(columns=sql.SQL(COLUMNS), table=incoming)
                for row in connection.execute(conflicts).fetchall():
                    self._insert_beside(connection, row)
            return len(spans)

        return self._run(merge)

    def _copy(
        self, connection: PostgresConnection, table: sql.Identifier, spans: Iterable[Span]
    ) -> int:
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(table, sql.SQL(COLUMNS))
        count = 0
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for span in spans:
                copy.write_row(to_row(span, self._lexemes))
                count += 1
        return count

    def _insert_beside(self, connection: PostgresConnection, row: tuple[Any, ...]) -> None:
        """Write a span whose id another one has, with the next free id; unless that is done."""
        span_id, *values = row
        while True:
            span_id += 1
            found = connection.execute(
                "SELECT feed = %s AND text = %s FROM spans WHERE id = %s",
                (values[0], values[3], span_id),
            ).fetchone()
            if found is None:
                self._partitions.create(connection, [span_id])
                places = ", ".join(["%s"] * len(row))
                statement = f"INSERT INTO spans ({COLUMNS}) VALUES ({places})"
                connection.execute(statement.encode(), (span_id, *values))
            if found is None or found[0]:
                return

    def _run(
        self, work: Callable[[PostgresConnection], Result], *, is_repeatable: bool = True
    ) -> Result:
        try:
            return self._connection.run(work, is_repeatable=is_repeatable)
        except psycopg.Error as error:
            message = f"the history in {self._name} cannot be written: {describe(error)}"
            raise HistoryError(message) from error


class _Peekable:
    """An iterator whose next span can be seen before it is taken."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans = iter(spans)
        self._next = next(self._spans, None)

    def peek(self) -> Span | None:
        """Return the next span; None at the end."""
        return self._next

    def take_while(self, partition: Partition) -> Iterator[Span]:
        """Take the spans that belong into a partition."""
        while self._next is not None and partition.holds(self._next.id):
            span, self._next = self._next, next(self._spans, None)
            yield span
