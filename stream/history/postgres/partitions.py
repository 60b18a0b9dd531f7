"""Partitions of the spans by time: created when they are needed, and dropped as a whole."""

from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from stream.history.postgres.schema import SCHEMA_LOCK
from stream.history.retention import DAY_S
from stream.history.span import MICROSECONDS

_COUNT = 32
"""Number of partitions into which the retention period and the size limit are divided."""

_HOUR_S = 3600.0
_FIRST_S, _LONGEST_S = DAY_S, 30 * DAY_S
_MIN_BYTES = 4_000_000
_PREFIX = "spans_"

_SIZE = "coalesce(pg_total_relation_size(inhrelid), 0)"
_FIND = (
    "SELECT relname, {} FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
    "WHERE inhparent = 'spans'::regclass"
)

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Partition:
    """Spans that start within a range of time, in microseconds since the Unix epoch."""

    begin: int
    end: int
    bytes: int = field(default=0, compare=False)
    """Size of the table with its indexes."""

    @property
    def table(self) -> sql.Identifier:
        """The table's name, which contains the range."""
        return sql.Identifier(f"{_PREFIX}{self.begin}_{self.end}")

    def holds(self, span_id: int) -> bool:
        """Return whether a span belongs here."""
        return self.begin <= span_id < self.end

    def overlaps(self, other: "Partition") -> bool:
        """Return whether a span could belong into both."""
        return self.begin < other.end and other.begin < self.end


def partition_begins(connection: Connection) -> list[int]:
    """Return where the partitions begin, in order."""
    rows = connection.execute(_FIND.format(0).encode()).fetchall()
    return sorted(_parse(name, size).begin for name, size in rows)


def _parse(table: str, size: int) -> Partition:
    begin, end = table.removeprefix(_PREFIX).rsplit("_", 1)
    return Partition(int(begin), int(end), size)


class Partitions:
    """Creates and drops partitions.

    They are so long that the retention period and the size limit each have some 32 of them, as far
    as the past foretells that.
    """

    def __init__(self, days: float, max_bytes: float) -> None:
        """Prepare partitions.

        Args:
            days: Retention period.
            max_bytes: Size limit.
        """
        self._max_s = min(max(_HOUR_S, days * DAY_S / _COUNT), _LONGEST_S)
        self.target_bytes = max(_MIN_BYTES, max_bytes / _COUNT)
        """Size that a partition should get."""

    def find(self, connection: Connection) -> list[Partition]:
        """Return all partitions, the oldest first, with their sizes."""
        rows = connection.execute(_FIND.format(_SIZE).encode())
        found = [_parse(name, size) for name, size in rows.fetchall()]
        return sorted(found, key=lambda partition: partition.begin)

    def create(self, connection: Connection, span_ids: list[int]) -> None:
        """Create the partitions that some spans lack."""
        for span_id in span_ids:
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
                known = self.find(connection)
                if not any(each.holds(span_id) for each in known):
                    partition = self.plan(known, span_id)
                    self.create_table(connection, partition)
                    self.attach(connection, partition)

    def plan(
        self, known: list[Partition], span_id: int, duration_s: float | None = None
    ) -> Partition:
        """Return the range of a new partition, between those that exist.

        Args:
            known: The partitions that exist, the oldest first.
            span_id: Id of a span that belongs into the new one.
            duration_s: Duration of the partition; None to derive it from the previous one.
        """
        before = max((each.end for each in known if each.end <= span_id), default=None)
        after = min((each.begin for each in known if each.begin > span_id), default=None)
        previous = next((each for each in reversed(known) if each.end == before), None)
        length = self._length(previous, span_id, duration_s)
        begin = span_id // length * length
        end = begin + length
        return Partition(
            begin if before is None else max(begin, before),
            end if after is None else min(end, after),
        )

    def create_table(self, connection: Connection, partition: Partition) -> None:
        """Create the table of a partition, which holds no part of the history yet."""
        connection.execute(
            sql.SQL("CREATE TABLE {} (LIKE spans INCLUDING DEFAULTS)").format(partition.table)
        )

    def attach(self, connection: Connection, partition: Partition) -> None:
        """Make a table a partition; unlike `CREATE TABLE ... PARTITION OF`, no reader waits."""
        bounds = (sql.Literal(partition.begin), sql.Literal(partition.end))
        connection.execute(
            sql.SQL("ALTER TABLE spans ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                partition.table, *bounds
            )
        )

    def drop(self, connection: Connection, partition: Partition, condition: str = "true") -> int:
        """Drop a partition if a condition holds for its spans.

        Args:
            connection: The connection.
            partition: The partition.
            condition: SQL over all spans of the partition, such as `count(*) = 0`.

        Returns:
            The number of spans that were dropped.
        """
        with connection.transaction():
            if not self._lock(connection, partition):
                return 0
            counted = sql.SQL(f"SELECT count(*), {condition} FROM {{}}").format(partition.table)
            ((count, is_droppable),) = connection.execute(counted).fetchall()
            if not is_droppable:
                return 0
            connection.execute(sql.SQL("DROP TABLE {}").format(partition.table))
            _delete_pictures(connection, partition.begin, partition.end)
            return int(count)

    def cut(self, connection: Connection, partition: Partition, share: float) -> int:
        """Replace a partition by one that lacks its oldest spans; return their number.

        To delete them would not shrink it while a search runs that began before.

        Args:
            connection: The connection.
            partition: The partition.
            share: Share of the spans to leave out, 0..1.
        """
        rest = sql.Identifier("spans_rest")
        with connection.transaction():
            if not self._lock(connection, partition):
                return 0
            connection.execute(
                sql.SQL("CREATE TABLE {} (LIKE spans INCLUDING DEFAULTS)").format(rest)
            )
            ((count,),) = connection.execute(
                sql.SQL("SELECT count(*) FROM {}").format(partition.table)
            ).fetchall()
            oldest = min(count, 1 + int(count * share))
            kept = connection.execute(
                sql.SQL("INSERT INTO {} SELECT * FROM {} ORDER BY id OFFSET %s").format(
                    rest, partition.table
                ),
                (oldest,),
            ).rowcount
            ((first,),) = connection.execute(
                sql.SQL("SELECT coalesce(min(id), %s) FROM {}").format(rest), (partition.end,)
            ).fetchall()
            connection.execute(sql.SQL("DROP TABLE {}").format(partition.table))
            _delete_pictures(connection, partition.begin, first)
            connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(rest, partition.table))
            self.attach(connection, partition)
            return int(count - kept)

    def _lock(self, connection: Connection, partition: Partition) -> bool:
        """Lock all spans until the transaction ends; return whether the partition still exists."""
        # First the whole table, so that nothing is inserted meanwhile, and in one order.
        connection.execute("LOCK TABLE ONLY spans IN ACCESS EXCLUSIVE MODE")
        return partition in self.find(connection)

    def _length(self, previous: Partition | None, span_id: int, duration_s: float | None) -> int:
        """Return the length of a new partition in microseconds, of whole hours."""
        if duration_s is None:
            duration_s = self._max_s if previous else _FIRST_S
            if previous and previous.bytes > self.target_bytes / 8:
                elapsed_s = (min(previous.end, span_id) - previous.begin) / MICROSECONDS
                duration_s = elapsed_s * self.target_bytes / previous.bytes
        hours = int(max(_HOUR_S, min(duration_s, self._max_s)) // _HOUR_S)
        return hours * int(_HOUR_S * MICROSECONDS)


def _delete_pictures(connection: Connection, begin: int, end: int) -> None:
    """Delete the pictures of spans that were dropped without a trigger."""
    connection.execute("DELETE FROM pictures WHERE span >= %s AND span < %s", (begin, end))
