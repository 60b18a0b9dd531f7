"""The writing side of a history in PostgreSQL."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from stream.history import (
    Firing,
    FiringQuery,
    HistoryError,
    HistoryQuery,
    Picture,
    PictureLimits,
    Span,
)
from stream.history.errors import WriteDelayed, WriteError
from stream.history.firing import FIRING_COLUMNS
from stream.history.pictures import NO_PICTURES, Execute, Fetch
from stream.history.postgres.connection import Connection, describe, describe_url
from stream.history.postgres.lexemes import Lexemes
from stream.history.postgres.partitions import Partition, Partitions
from stream.history.postgres.rows import to_row
from stream.history.postgres.schema import COLUMNS, RETENTION_LOCK, prepare_schema
from stream.history.postgres.search import where
from stream.history.span import MAX_AHEAD_S, MAX_DURATION_S, to_microseconds
from stream.history.store import FILL_AFTER_DELETION, Store

_INSERT = f"""
INSERT INTO spans ({COLUMNS}) VALUES ({", ".join(["%s"] * (COLUMNS.count(",") + 1))})
ON CONFLICT (id) DO NOTHING
"""
_IS_STORED = "SELECT EXISTS (SELECT FROM spans WHERE id = %s AND feed = %s AND text = %s)"
_UPDATE = "UPDATE spans SET ended = %s, captions = %s, confidence = %s WHERE id = %s"

_PUT_FIRING = f"""
INSERT INTO firings ({FIRING_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (rule, feed, began) DO NOTHING
"""
_END_FIRING = "UPDATE firings SET ended = %s WHERE rule = %s AND feed = %s AND began = %s"

_INSERT_PICTURE = """
INSERT INTO pictures (span, size, maps, image)
SELECT id, %s, %s, %s FROM spans WHERE id = %s FOR KEY SHARE
ON CONFLICT (span) DO NOTHING
"""
"""The lock makes whoever deletes the span wait, so that no picture is left behind."""

_NoPartition = psycopg.errors.CheckViolation
"""There is no partition for the time of a span."""

_FAULTY = (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError)
"""Errors that do not go away when what failed is repeated."""

Result = TypeVar("Result")
PostgresConnection = psycopg.Connection[tuple[Any, ...]]


class PostgresStore(Store):
    """Writes the history beside other servers; spans are kept while the database is unreachable.

    Each server extends the spans that it began itself.
    """

    def __init__(
        self, url: str, days: float, megabytes: float, pictures: PictureLimits = NO_PICTURES
    ) -> None:
        """Connect, and create the tables if they do not exist.

        Args:
            url: URL of the database.
            days: As `HistorySettings.days`.
            megabytes: As `HistorySettings.megabytes`; the size of the spans with their indexes.
            pictures: Limits of the pictures.

        Raises:
            HistoryError: If the database cannot be used.
        """
        self._name = describe_url(url)
        self._partitions = Partitions(days, megabytes * 1e6)
        self._lexemes = Lexemes()
        self._connection = Connection(url, {})
        self._is_uncertain = False
        """Whether the last commit may have been carried out although it failed."""
        self._to_vacuum = set[Partition]()
        try:
            self._connection.run(lambda connection: prepare_schema(connection, self._name))
            super().__init__(days, megabytes, pictures)
        except psycopg.Error as error:
            self._disconnect()
            raise HistoryError(
                f"the history in {self._name} cannot be used: {describe(error)}"
            ) from error
        except BaseException:
            self._disconnect()
            raise

    @property
    def bytes(self) -> int:
        """Size of the spans and their indexes; raises `WriteError`."""
        return sum(partition.bytes for partition in self._run(self._partitions.find))

    def put_firing(self, firing: Firing) -> bool:
        """Store a firing, or the end of one that is stored; one that is faulty is lost."""
        try:
            self._run(lambda connection: connection.execute(*_firing_statement(firing)))
        except WriteDelayed:
            raise
        except WriteError as error:
            error.lost = 1
            raise
        return True

    def close(self) -> None:
        """Write what is not written yet, and close the connection; safe to call more than once.

        Raises:
            WriteError: If it could not be written; the connection is closed all the same.
        """
        try:
            self.flush()
        finally:
            self._changed.clear()
            self._disconnect()

    def apply_retention(self, now: float | None = None) -> int:
        """Delete spans as `Store.apply_retention`, unless another server is doing it."""
        key = (RETENTION_LOCK,)
        row = self._run(
            lambda connection: connection.execute("SELECT pg_try_advisory_lock(%s)", key).fetchone()
        )
        if not (row and row[0]):
            return 0
        try:
            return super().apply_retention(now)
        finally:
            self._run(lambda connection: connection.execute("SELECT pg_advisory_unlock(%s)", key))

    def _disconnect(self) -> None:
        self._connection.close()
        self._lexemes.close()

    def _run(self, work: Callable[[PostgresConnection], Result]) -> Result:
        """Run work that bears to be repeated."""
        try:
            return self._connection.run(work)
        except _FAULTY as error:
            raise WriteError(self._failure(error)) from error
        except psycopg.Error as error:
            raise WriteDelayed(self._failure(error)) from error

    def _failure(self, error: psycopg.Error) -> str:
        return f"the history in {self._name} cannot be written: {describe(error)}"

    def _commit(self, new: Collection[Span], changed: Collection[Span]) -> Collection[Span]:
        def write(connection: PostgresConnection) -> list[Span]:
            # Until it is known to be done, it may have been.
            was_uncertain, self._is_uncertain = self._is_uncertain, True
            with connection.transaction():
                gone = [span for span in changed if not _update(connection, span)]
                for span in new:
                    self._insert(connection, span, was_uncertain)
            self._is_uncertain = False
            return gone

        def write_with_partitions(connection: PostgresConnection) -> list[Span]:
            try:
                return write(connection)
            except _NoPartition:
                with connection.transaction():
                    # Until the end no other server can drop a partition.
                    connection.execute("LOCK TABLE ONLY spans IN ROW EXCLUSIVE MODE")
                    self._partitions.create(connection, [span.id for span in new])
                    gone = write(connection)
                    self._is_uncertain = True
                self._is_uncertain = False
                return gone

        return self._run(write_with_partitions)

    def _insert(self, connection: PostgresConnection, span: Span, may_be_stored: bool) -> None:
        span.ended = max(span.ended, span.started)
        # Ids collide for frames of two feeds at the same time, or after the clock was set back.
        while not connection.execute(_INSERT, to_row(span, self._lexemes)).rowcount:
            if may_be_stored:
                found = connection.execute(_IS_STORED, (span.id, span.feed, span.text)).fetchone()
                if found and found[0]:
                    _update(connection, span)
                    return
            span.id += 1

    def _statements(self) -> tuple[Execute, Fetch]:
        def execute(statement: str, values: Sequence[Any]) -> int:
            query = statement.replace("?", "%s").encode()
            return self._run(lambda connection: connection.execute(query, values).rowcount)

        def fetch(statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
            query = statement.replace("?", "%s").encode()
            return self._run(lambda connection: connection.execute(query, values).fetchall())

        return execute, fetch

    def _insert_pictures(self, pictures: Collection[Picture]) -> list[Picture]:
        def insert(connection: PostgresConnection) -> list[Picture]:
            with connection.transaction():
                return [each for each in pictures if _insert_picture(connection, each)]

        return self._run(insert)

    def _shrink_pictures(self) -> None:
        self._run(lambda connection: connection.execute("VACUUM pictures").rowcount)

    def _newest(self) -> float | None:
        sql_text = (
            "SELECT ended FROM spans WHERE NOT EXISTS "
            "(SELECT FROM misdated WHERE misdated.id = spans.id) ORDER BY id DESC LIMIT 1"
        )
        row = self._run(lambda connection: connection.execute(sql_text).fetchone())
        return None if row is None else float(row[0])

    def _count_ended(self, begin: float, end: float) -> int:
        bounds = (to_microseconds(begin - MAX_DURATION_S), to_microseconds(end), begin, end)
        row = self._run(
            lambda connection: connection.execute(
                "SELECT count(*) FROM spans WHERE id >= %s AND id < %s AND ended BETWEEN %s AND %s",
                bounds,
            ).fetchone()
        )
        return int(row[0]) if row else 0

    def _note_misdated(self, now: float) -> None:
        limit = to_microseconds(now + MAX_AHEAD_S)

        def note(connection: PostgresConnection) -> None:
            with connection.transaction():
                connection.execute(
                    "DELETE FROM misdated WHERE id <= %s OR NOT EXISTS "
                    "(SELECT FROM spans WHERE spans.id = misdated.id)",
                    (limit,),
                )
                connection.execute(
                    "INSERT INTO misdated SELECT id, %s FROM spans WHERE id > %s "
                    "ON CONFLICT DO NOTHING",
                    (now, limit),
                )

        self._run(note)

    def _delete(self, query: HistoryQuery) -> int:
        clause, values = where(query, self._lexemes)
        statement = f"DELETE FROM {clause} AND spans.id >= ? AND spans.id < ?".replace("?", "%s")

        def delete_in(partition: Partition) -> int:
            bounds = [*values, partition.begin, partition.end]
            return self._run(
                lambda connection: connection.execute(statement.encode(), bounds).rowcount
            )

        deleted = 0
        for partition in self._run(self._partitions.find):
            if query == HistoryQuery():
                deleted += self._drop(partition)
            elif count := delete_in(partition):
                deleted += count
                self._to_vacuum.add(partition)
        return deleted

    def _delete_older(self, oldest: float) -> int:
        limit, deleted = to_microseconds(oldest), 0
        for partition in self._run(self._partitions.find):
            if partition.begin >= limit:
                break
            deleted += self._delete_older_in(partition, oldest)
        return deleted

    def _delete_older_in(self, partition: Partition, oldest: float) -> int:
        if partition.end <= to_microseconds(oldest - MAX_DURATION_S):
            return self._drop_unless_used(partition)

        def delete(connection: PostgresConnection) -> int:
            statement = sql.SQL("DELETE FROM {} WHERE id < %s AND ended < %s").format(
                partition.table
            )
            return connection.execute(statement, (to_microseconds(oldest), oldest)).rowcount

        return self._run_unless_dropped(delete)

    def _delete_misdated(self, oldest: float) -> int:
        statement = "DELETE FROM spans USING misdated WHERE spans.id = misdated.id AND noticed < %s"
        return self._run(lambda connection: connection.execute(statement, (oldest,)).rowcount)

    def _delete_oldest(self, max_bytes: float) -> int:
        deleted = 0
        partitions = self._run(self._partitions.find)
        excess = sum(partition.bytes for partition in partitions) - max_bytes
        for partition in partitions:
            if excess <= 0:
                break
            if partition.bytes <= excess + max_bytes * (1 - FILL_AFTER_DELETION):
                count, freed = self._drop_unless_used(partition), float(partition.bytes)
            else:
                count, freed = self._cut(partition, excess / partition.bytes)
            deleted += count
            excess -= freed
        return deleted

    def _delete_firings(self, query: FiringQuery) -> None:
        clause, values = query.sql()
        statement = f"DELETE FROM firings WHERE {clause.replace('?', '%s')}".encode()
        self._run(lambda connection: connection.execute(statement, values))

    def _delete_excess_firings(self, count: int) -> None:
        statement = (
            "DELETE FROM firings WHERE id <= "
            "(SELECT id FROM firings ORDER BY id DESC LIMIT 1 OFFSET %s)"
        )
        self._run(lambda connection: connection.execute(statement, (count,)))

    def _drop(self, partition: Partition) -> int:
        return self._run(lambda connection: self._partitions.drop(connection, partition))

    def _drop_unless_used(self, partition: Partition, condition: str = "true") -> int:
        """Drop a partition, later if requests use the history all the time; return its spans."""

        def drop(connection: PostgresConnection) -> int:
            with suppress(psycopg.errors.LockNotAvailable):
                return self._partitions.drop(connection, partition, condition)
            return 0

        return self._run(drop)

    def _cut(self, partition: Partition, share: float) -> tuple[int, float]:
        """Delete the oldest spans of a partition; return their number and the bytes freed."""

        def cut(connection: PostgresConnection) -> int:
            with suppress(psycopg.errors.LockNotAvailable):
                return self._partitions.cut(connection, partition, share)
            return 0

        count = self._run(cut)
        sizes = {each.begin: each.bytes for each in self._run(self._partitions.find)}
        return count, partition.bytes - sizes.get(partition.begin, 0)

    def _vacuum(self, partition: Partition) -> None:
        """Remove deleted spans from a partition's table and indexes."""
        statement = sql.SQL("VACUUM {}").format(partition.table)
        self._run_unless_dropped(lambda connection: connection.execute(statement).rowcount)

    def _shrink(self) -> None:
        """Drop the partitions that are empty, and remove what was deleted from the others."""
        for partition in self._run(self._partitions.find):
            if self._is_empty(partition):
                self._drop_unless_used(partition, "count(*) = 0")
            elif partition in self._to_vacuum:
                self._vacuum(partition)
        self._to_vacuum.clear()
        self._shrink_pictures()

    def _is_empty(self, partition: Partition) -> bool:
        statement = sql.SQL("SELECT FROM {} LIMIT 1").format(partition.table)
        return not self._run_unless_dropped(
            lambda connection: connection.execute(statement).rowcount
        )

    def _run_unless_dropped(self, work: Callable[[PostgresConnection], int]) -> int:
        """Run work with a partition; return 0 if another server has dropped it."""

        def run(connection: PostgresConnection) -> int:
            with suppress(psycopg.errors.UndefinedTable):
                return work(connection)
            return 0

        return self._run(run)


def _update(connection: PostgresConnection, span: Span) -> bool:
    """Write the end of a span; return whether it still exists."""
    values = (span.ended, span.captions, span.confidence, span.id)
    return connection.execute(_UPDATE, values).rowcount > 0


def _insert_picture(connection: PostgresConnection, picture: Picture) -> bool:
    values = (picture.size, picture.maps, picture.image, picture.span)
    return connection.execute(_INSERT_PICTURE, values).rowcount > 0


def _firing_statement(firing: Firing) -> tuple[str, tuple[Any, ...]]:
    """Return the statement that stores a firing, or its end, and the values.

    One that was deleted while it lasted does not come back.
    """
    if firing.ended is None:
        return _PUT_FIRING, firing.to_row()
    return _END_FIRING, (firing.ended, firing.rule, firing.feed, firing.began)
