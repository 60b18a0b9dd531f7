"""The log of all servers' captions in the database: written in order, and read without gaps.

Each server numbers its captions. A caption is written only while its server holds the lease of its
stream, in the same transaction that checks that. Whoever reads the log keeps the number of the last
caption of each server, so that it reads each caption once, whatever notifications it missed. The
position in the whole log orders the captions of a stream that has moved from one server to another.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import NamedTuple

from stream.captioning import CaptionEvent
from stream.clock import boottime
from stream.cluster.connection import DatabaseConnection, DatabaseUnavailable, Rows
from stream.cluster.schema import CHANNEL

_BATCH_S = 0.05
"""How long captions are collected before they are written."""

_MAX_BATCH = 200
_MAX_WAITING = 2000
"""Captions that wait for the database; beyond that the oldest are dropped."""

_RETRY_S = 0.5
_MAX_PAGE = 500

RETENTION_S = 15 * 60.0
"""How long captions are kept for servers that were away."""

_WRITE = """
WITH current AS (
    SELECT name, token FROM cluster_leases
    WHERE name = ANY(%(streams)s::text[]) AND server = %(origin)s FOR SHARE
), written AS (
    INSERT INTO cluster_events (origin, seq, stream, token, body, age)
    SELECT %(origin)s, new.seq, new.stream, new.token, new.body, new.age
    FROM unnest(%(seqs)s::bigint[], %(streams)s::text[], %(tokens)s::bigint[], %(bodies)s::text[],
        %(ages)s::float[]) AS new (seq, stream, token, body, age)
    JOIN current ON current.name = new.stream AND current.token = new.token
    ORDER BY new.seq
    ON CONFLICT (origin, seq) DO NOTHING
)
SELECT name, token, pg_notify(%(channel)s, '{"kind": "events"}') FROM current
"""
_READ = """
SELECT origin, seq, body, age, passed FROM (
    SELECT member.id, coalesce(known.seq, 0)
    FROM cluster_servers AS member
    LEFT JOIN unnest(%(origins)s::text[], %(seqs)s::bigint[]) AS known (id, seq) USING (id)
    WHERE member.id <> %(without)s
) AS cursor (id, after), LATERAL (
    SELECT origin, seq, position, body, age,
        extract(epoch FROM clock_timestamp() - written)::float AS passed
    FROM cluster_events WHERE origin = cursor.id AND seq > cursor.after
    ORDER BY seq LIMIT %(most)s
) AS event
ORDER BY position LIMIT %(most)s
"""
_ENDS = "SELECT origin, max(seq) FROM cluster_events WHERE origin <> %s GROUP BY origin"
_LATEST = """
SELECT origin, seq, body, age, extract(epoch FROM clock_timestamp() - written)::float
FROM cluster_events ORDER BY position DESC LIMIT %s
"""
_EXPIRE = """
WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(%s) AS own), old AS (
    DELETE FROM cluster_events USING turn
    WHERE turn.own AND written < clock_timestamp() - make_interval(secs => %s)
)
DELETE FROM cluster_servers AS member USING turn
WHERE turn.own AND heartbeat < clock_timestamp() - make_interval(secs => 2 * %s)
    AND NOT EXISTS (SELECT 1 FROM cluster_events WHERE origin = member.id)
"""
_EXPIRE_LOCK = 7_305_412_095

logger = logging.getLogger(__name__)


class LoggedEvent(NamedTuple):
    """A caption in the log."""

    origin: str
    """Id of the server that wrote it."""
    seq: int
    """Number among those that this server wrote, from 1."""
    event: CaptionEvent


class EventWriter:
    """Writes the captions of this server's streams, in order. `run` it.

    Captions wait while the database is away, and while their stream has no lease yet.
    """

    written = 0
    """Captions that were written."""
    refused = 0
    """Captions of a stream that another server had taken over."""
    dropped = 0
    """Captions that were lost because too many waited."""

    def __init__(
        self,
        connection: DatabaseConnection,
        origin: str,
        token: Callable[[str], int | None],
        on_refused: Callable[[Collection[str]], None],
    ) -> None:
        """Prepare to write.

        Args:
            connection: The connection for writing.
            origin: Id of this server, new at each start.
            token: Returns the token of the lease of a stream, if this server holds it.
            on_refused: Called with streams that another server has taken over.
        """
        self._connection, self._origin = connection, origin
        self._token, self._on_refused = token, on_refused
        self._seq = 0
        self._waiting: deque[tuple[CaptionEvent, int | None]] = deque()
        self._batch: list[tuple[int, int, CaptionEvent]] = []
        """Number, token and caption, until the database has confirmed all of them."""
        self._added = asyncio.Event()
        self._writing = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """Captions that are not written yet."""
        return len(self._waiting) + len(self._batch)

    def add(self, event: CaptionEvent) -> None:
        """Write a caption soon."""
        if len(self._waiting) >= _MAX_WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append((event, self._token(event.stream)))
        self._added.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._added.wait()
            await asyncio.sleep(_BATCH_S)
            self._added.clear()
            try:
                await self.flush()
            except DatabaseUnavailable:
                await asyncio.sleep(_RETRY_S)
            if self.waiting:
                self._added.set()

    async def flush(self) -> None:
        """Write what waits for nothing but this.

        Raises:
            DatabaseUnavailable: If that failed; what was not written is kept.
        """
        async with self._writing:
            while self._batch or self._fill_batch():
                await self._write()

    def forget(self, stream: str) -> None:
        """Drop the captions of a stream that never got a lease."""
        self._waiting = deque(
            (event, token)
            for event, token in self._waiting
            if token is not None or event.stream != stream
        )

    def _fill_batch(self) -> bool:
        """Number the captions that have a token; the others stay, for a lease that may come."""
        later: deque[tuple[CaptionEvent, int | None]] = deque()
        while self._waiting and len(self._batch) < _MAX_BATCH:
            event, token = self._waiting.popleft()
            token = token if token is not None else self._token(event.stream)
            if token is None:
                later.append((event, None))
            else:
                self._seq += 1
                self._batch.append((self._seq, token, event))
        self._waiting.extendleft(reversed(later))
        return bool(self._batch)

    async def _write(self) -> None:
        now = boottime()
        values = {
            "origin": self._origin,
            "seqs": [seq for seq, _, _ in self._batch],
            "streams": [event.stream for _, _, event in self._batch],
            "tokens": [token for _, token, _ in self._batch],
            "bodies": [json.dumps(event.to_json()) for _, _, event in self._batch],
            "ages": [now - event.captured_boottime for _, _, event in self._batch],
            "channel": CHANNEL,
        }
        current = {name: token for name, token, _ in await self._connection.fetch(_WRITE, values)}
        batch, self._batch = self._batch, []
        lost = [event for _, token, event in batch if current.get(event.stream) != token]
        self.written += len(batch) - len(lost)
        self.refused += len(lost)
        if gone := {event.stream for event in lost if event.stream not in current}:
            self._on_refused(gone)


class EventReader:
    """Reads the log from where it has read to; one at a time."""

    read_count = 0
    """Captions that were read."""
    lag_s = 0.0
    """How long ago the last one was written when it was read."""

    def __init__(self, connection: DatabaseConnection, *, without: str = "") -> None:
        """Prepare to read.

        Args:
            connection: The connection for reading.
            without: Id of a server whose captions are left out.
        """
        self._connection, self._without = connection, without
        self.cursors: dict[str, int] = {}
        """Number of the last caption read of each server."""

    async def start_at_end(self) -> None:
        """Read what is written from now on; raises `DatabaseUnavailable`."""
        self.cursors = dict(await self._connection.fetch(_ENDS, (self._without,)))

    async def forget_former_servers(self) -> None:
        """Drop the cursors of servers that are long gone; raises `DatabaseUnavailable`."""
        known = {id_ for (id_,) in await self._connection.fetch("SELECT id FROM cluster_servers")}
        self.cursors = {id_: seq for id_, seq in self.cursors.items() if id_ in known}

    async def read(self) -> list[LoggedEvent]:
        """Return the next captions; those of each stream are in order.

        Returns:
            Up to 500.

        Raises:
            DatabaseUnavailable: If that failed.
        """
        values = {
            "origins": list(self.cursors),
            "seqs": list(self.cursors.values()),
            "without": self._without,
            "most": _MAX_PAGE,
        }
        rows = await self._connection.fetch(_READ, values)
        self.cursors |= {row[0]: row[1] for row in rows}
        events = _parse(rows)
        if rows:
            self.lag_s = rows[-1][4]
        self.read_count += len(events)
        return events


async def read_latest(connection: DatabaseConnection, count: int) -> list[LoggedEvent]:
    """Return the latest captions of all servers, the oldest first; raises `DatabaseUnavailable`."""
    return _parse(await connection.fetch(_LATEST, (count,)))[::-1]


async def delete_expired(connection: DatabaseConnection) -> None:
    """Delete what is too old, unless another server is at it; raises `DatabaseUnavailable`."""
    await connection.fetch(_EXPIRE, (_EXPIRE_LOCK, RETENTION_S, RETENTION_S))


def _parse(rows: Rows) -> list[LoggedEvent]:
    now, events = boottime(), []
    for origin, seq, body, age, passed in rows:
        try:
            event = CaptionEvent.from_json(json.loads(body))
        except (ValueError, KeyError, TypeError):
            # Of another version of the server.
            logger.warning("a caption of server %s cannot be read", origin, exc_info=True)
            continue
        events.append(LoggedEvent(origin, seq, _rebase(event, now, age + passed)))
    return events


def _rebase(event: CaptionEvent, now: float, age_s: float) -> CaptionEvent:
    """Move the times on the clock `boottime` to that of this machine.

    The age comes from the database's clock, so that it does not matter how the machines' own
    clocks are set.
    """
    captured = now - max(0.0, age_s)
    waited_s = max(0.0, event.received_boottime - event.captured_boottime)
    received = min(now, captured + waited_s)
    return replace(event, captured_boottime=captured, received_boottime=received)
