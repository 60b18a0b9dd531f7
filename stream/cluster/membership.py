"""Membership and leases: a server's heartbeat, and the streams that it alone may caption.

A lease has a fencing token: a number that grows with each change of the holder. It expires by the
database's clock. Its holder counts from before the request that renewed it, by a clock of its own
that nobody can set, and stops before that time is over, so that two servers never both hold it.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from stream.clock import boottime
from stream.cluster.connection import DatabaseConnection, DatabaseUnavailable
from stream.cluster.schema import CHANNEL
from stream.cluster.spread import Member, assign, surplus

LEASE_S = 5.0
"""How long a lease lasts without a heartbeat."""

HEARTBEAT_S = 1.5
"""Seconds between heartbeats: three may fail."""

_MARGIN_S = 0.5
"""How long before a lease can expire its holder stops."""

_UNCLAIMED_S = 2.0
"""After this time, a feed that the server did not take whose turn it was is taken by any."""

_RETURN_S = 2.0
"""After the database was away, how long to leave the other servers the feeds that they had."""

_SOON_S = 0.02
"""How long after another server's lease has expired to look."""

SINKS = "@sinks"
"""The lease of the server that sends captions to sinks; no stream can have this name."""

_BEAT = """
WITH beat AS (
    INSERT INTO cluster_servers (id, url, feeds, viewers, heartbeat)
    VALUES (%(id)s, %(url)s, %(feeds)s, %(viewers)s, clock_timestamp())
    ON CONFLICT (id) DO UPDATE SET url = excluded.url, feeds = excluded.feeds,
        viewers = excluded.viewers, heartbeat = excluded.heartbeat
)
UPDATE cluster_leases SET expires = clock_timestamp() + make_interval(secs => %(lease_s)s)
WHERE server = %(id)s RETURNING name, token
"""
_SERVERS = """
SELECT id, url, feeds, viewers, extract(epoch FROM clock_timestamp() - joined)::float
FROM cluster_servers WHERE heartbeat > clock_timestamp() - make_interval(secs => %s)
"""
_LEASES = """
SELECT name, server, token, report,
    CASE WHEN expires > clock_timestamp()
        THEN extract(epoch FROM expires - clock_timestamp())::float ELSE 0 END
FROM cluster_leases
"""
_ACQUIRE = """
WITH taken AS (
    INSERT INTO cluster_leases AS held (name, server, token, expires)
    SELECT name, %(id)s, nextval('cluster_tokens'),
        clock_timestamp() + make_interval(secs => %(lease_s)s)
    FROM unnest(%(names)s::text[]) AS name ORDER BY name
    ON CONFLICT (name) DO UPDATE SET server = excluded.server, token = nextval('cluster_tokens'),
        expires = clock_timestamp() + make_interval(secs => %(lease_s)s), report = NULL
    WHERE held.expires <= clock_timestamp()
    RETURNING name, token
)
SELECT name, token, pg_notify(%(channel)s, '{"kind": "leases"}') FROM taken
"""
_RELEASE = """
WITH released AS (
    UPDATE cluster_leases SET server = '', expires = '-infinity'
    WHERE server = %(id)s AND name = ANY(%(names)s::text[]) RETURNING name
)
SELECT pg_notify(%(channel)s, '{"kind": "leases"}') FROM released LIMIT 1
"""
_REPORT = """
WITH told AS (
    UPDATE cluster_leases AS held SET report = new.report::jsonb
    FROM unnest(%(names)s::text[], %(tokens)s::bigint[], %(reports)s::text[])
        AS new (name, token, report)
    WHERE held.name = new.name AND held.token = new.token RETURNING held.name
)
SELECT pg_notify(%(channel)s, '{"kind": "leases"}') FROM told LIMIT 1
"""
_JOINED = 'SELECT pg_notify(%s, \'{"kind": "leases"}\')'
_LEAVE = """
WITH released AS (
    UPDATE cluster_leases SET server = '', expires = '-infinity' WHERE server = %(id)s
), gone AS (
    UPDATE cluster_servers SET heartbeat = '-infinity', viewers = '{}' WHERE id = %(id)s
)
SELECT pg_notify(%(channel)s, '{"kind": "leases"}')
"""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that this server holds."""

    token: int
    valid_until: float
    """When to stop, on the clock `boottime`."""


@dataclass(frozen=True, slots=True)
class HeldStream:
    """A stream that another server captions, as the database has it."""

    server: str
    report: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The other servers that are alive, and what they hold."""

    urls: Mapping[str, str] = field(default_factory=dict)
    """URL of each server, by its id."""
    viewers: Mapping[str, int] = field(default_factory=dict)
    """Viewers on the other servers together, by stream."""
    streams: Mapping[str, HeldStream] = field(default_factory=dict)


class Membership:
    """A server's membership. `run` it; then it holds its share of the leases."""

    view = ClusterView()

    def __init__(
        self,
        connection: DatabaseConnection,
        id_: str,
        url: str,
        on_change: Callable[[], None],
        settle: Callable[[], Awaitable[None]],
        *,
        wants_sinks: bool,
    ) -> None:
        """Prepare a membership.

        Args:
            connection: The connection for leases.
            id_: Unique id of this server, new at each start.
            url: How the others reach it; empty if they cannot.
            on_change: Called when `held` has changed, or `view`; it must not block.
            settle: Waits until what was lost is stopped, for a bounded time.
            wants_sinks: Whether to take the lease `SINKS`, if it is free.
        """
        self._connection, self.id, self._url = connection, id_, url
        self._on_change, self._settle, self._wants_sinks = on_change, settle, wants_sinks
        self._feeds: frozenset[str] = frozenset()
        self._sessions: frozenset[str] = frozenset()
        self.viewers: dict[str, int] = {}
        """Viewers on this server of streams that others caption."""
        self.held: dict[str, Lease] = {}
        self._free_since: dict[str, float] = {}
        self._beaten_at = boottime()
        self._has_joined = False
        self._patient_until = 0.0
        self._due = asyncio.Event()
        self._next_expiry_s = HEARTBEAT_S

    @property
    def streams(self) -> set[str]:
        """The streams whose leases this server holds."""
        return set(self.held) - {SINKS}

    def configure(self, feeds: Collection[str]) -> None:
        """Set the feeds of this server's configuration; it gives up all others."""
        self._feeds = frozenset(feeds)
        self.hurry()

    def claim_sessions(self, names: Collection[str]) -> None:
        """Set the names of the sessions that are published here."""
        if self._sessions != frozenset(names):
            self._sessions = frozenset(names)
            self.hurry()

    def hurry(self) -> None:
        """Do not wait for the next heartbeat."""
        self._due.set()

    def token(self, name: str) -> int | None:
        """Return the token of a lease that is valid now; None if this server has none."""
        lease = self.held.get(name)
        return lease.token if lease and boottime() < lease.valid_until else None

    def drop(self, names: Collection[str]) -> None:
        """Give up leases that the database has given to another server."""
        if lost := [name for name in names if self.held.pop(name, None)]:
            logger.warning("another server captions %s now", ", ".join(sorted(lost)))
            self._on_change()

    async def run(self) -> None:
        """Keep the membership until cancelled."""
        watching = asyncio.create_task(self._watch_validity(), name="cluster leases")
        try:
            while True:
                self._due.clear()
                started = boottime()
                try:
                    await self._beat()
                except DatabaseUnavailable:
                    self._next_expiry_s = HEARTBEAT_S
                wait_s = min(HEARTBEAT_S - (boottime() - started), self._next_expiry_s)
                try:
                    async with asyncio.timeout(max(_SOON_S, wait_s)):
                        await self._due.wait()
                except TimeoutError:
                    pass
        finally:
            watching.cancel()
            await asyncio.wait({watching})

    async def join(self) -> None:
        """Become known to the others, and learn of them and of what they hold.

        Raises:
            DatabaseUnavailable: If that failed; `run` tries again.
        """
        await self._beat()

    async def leave(self) -> None:
        """Release all leases, so that others take them at once."""
        self.held.clear()
        values = {"id": self.id, "channel": CHANNEL}
        await self._connection.fetch(_LEAVE, values)

    async def report(self, reports: Mapping[str, dict[str, Any]]) -> None:
        """Tell the others the state of streams that this server holds.

        Raises:
            DatabaseUnavailable: If that failed.
        """
        held = {name: lease for name, lease in self.held.items() if name in reports}
        if held:
            values = {
                "names": list(held),
                "tokens": [lease.token for lease in held.values()],
                "reports": [json.dumps(reports[name]) for name in held],
                "channel": CHANNEL,
            }
            await self._connection.fetch(_REPORT, values)

    async def _beat(self) -> None:
        before = self.streams
        # Measured before the database gets the request, so that the lease lasts longer than this.
        valid_until = boottime() + LEASE_S - _MARGIN_S
        values = {
            "id": self.id,
            "url": self._url,
            "feeds": sorted(self._feeds),
            "viewers": json.dumps(self.viewers),
            "lease_s": LEASE_S,
        }
        renewed = await self._connection.fetch(_BEAT, values)
        if not self._has_joined:
            await self._connection.fetch(_JOINED, (CHANNEL,))
            self._has_joined = True
        self.held = {name: Lease(token, valid_until) for name, token in renewed}
        now = boottime()
        if now - self._beaten_at > LEASE_S:
            self._patient_until = now + _RETURN_S
        self._beaten_at = now
        members = self._read_servers(await self._connection.fetch(_SERVERS, (LEASE_S,)))
        holders, free = self._read_leases(await self._connection.fetch(_LEASES))
        assigned = self._assign(members, holders, free)
        await self._acquire(self._to_take(assigned, free))
        await self._release(self._to_give(members, {**assigned, **holders}))
        if before != self.streams:
            logger.info("this server captions: %s", ", ".join(sorted(self.streams)) or "nothing")
        self._on_change()

    def _read_servers(self, rows: list[tuple[Any, ...]]) -> list[Member]:
        urls: dict[str, str] = {}
        viewers: dict[str, int] = {}
        members = []
        for id_, url, feeds, watched, alive_s in rows:
            members.append(Member(id_, frozenset(feeds), alive_s))
            if id_ != self.id:
                urls[id_] = url
                for name, count in watched.items():
                    viewers[name] = viewers.get(name, 0) + count
        self.view = ClusterView(urls, viewers)
        return members

    def _read_leases(self, rows: list[tuple[Any, ...]]) -> tuple[dict[str, str], set[str]]:
        """Return the holder of each lease, and the names of those that nobody has."""
        holders, streams = dict.fromkeys(self.held, self.id), {}
        self._next_expiry_s = HEARTBEAT_S
        reserved = set()
        for name, server, _, report, left_s in rows:
            if server not in ("", self.id) and left_s <= 0 and boottime() < self._patient_until:
                reserved.add(name)
            elif server != self.id and left_s > 0:
                holders[name] = server
                streams[name] = HeldStream(server, report)
                self._next_expiry_s = min(self._next_expiry_s, left_s + _SOON_S)
        self.view = ClusterView(self.view.urls, self.view.viewers, streams)
        wanted = self._feeds | self._sessions | ({SINKS} if self._wants_sinks else set())
        return holders, {name for name in wanted if name not in holders} - reserved

    def _assign(
        self, members: list[Member], holders: Mapping[str, str], free: set[str]
    ) -> dict[str, str]:
        """Return the server that is to take each feed that nobody has."""
        feeds = {name: id_ for name, id_ in holders.items() if name in self._feeds}
        return assign(free & self._feeds, members, feeds)

    def _to_take(self, assigned: Mapping[str, str], free: set[str]) -> list[str]:
        """Return the free leases that are this server's, or that nobody else took in time."""
        now = boottime()
        self._free_since = {name: self._free_since.get(name, now) for name in free}
        late = {name for name, since in self._free_since.items() if now - since >= _UNCLAIMED_S}
        if late:
            self._next_expiry_s = HEARTBEAT_S
        elif free:
            self._next_expiry_s = min(self._next_expiry_s, _UNCLAIMED_S)
        own = {name for name in free if assigned.get(name, self.id) == self.id}
        return sorted(own | late)

    def _to_give(self, members: list[Member], holders: Mapping[str, str]) -> list[str]:
        """Return the leases that are not wanted here any more, or that others should have."""
        wanted = self._feeds | self._sessions | {SINKS}
        unwanted = [name for name in self.held if name not in wanted]
        feeds = {name: id_ for name, id_ in holders.items() if name in self._feeds}
        return [*unwanted, *surplus(self.id, members, feeds)]

    async def _acquire(self, names: list[str]) -> None:
        if not names:
            return
        valid_until = boottime() + LEASE_S - _MARGIN_S
        values = {"id": self.id, "names": names, "lease_s": LEASE_S, "channel": CHANNEL}
        for name, token, _ in await self._connection.fetch(_ACQUIRE, values):
            self.held[name] = Lease(token, valid_until)

    async def _release(self, names: list[str]) -> None:
        """Release leases, after this server has stopped to use them."""
        if not names:
            return
        for name in names:
            self.held.pop(name, None)
        self._on_change()
        # Many cameras accept one connection only.
        await self._settle()
        values = {"id": self.id, "names": names, "channel": CHANNEL}
        await self._connection.fetch(_RELEASE, values)

    async def _watch_validity(self) -> None:
        """Give up leases in time if no heartbeat renews them."""
        while True:
            now = boottime()
            ended = [name for name, lease in self.held.items() if lease.valid_until <= now]
            if ended:
                for name in ended:
                    del self.held[name]
                logger.warning(
                    "%s paused: the database did not renew the lease", ", ".join(sorted(ended))
                )
                self._on_change()
            soonest = min((lease.valid_until for lease in self.held.values()), default=now + 1)
            await asyncio.sleep(max(0.0, min(1.0, soonest - boottime())))
