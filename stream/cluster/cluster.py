"""A server's part in its cluster: its share of the feeds, and the captions of all servers."""

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

from psycopg import AsyncConnection, sql

from stream.broadcast import Broadcast
from stream.captioning import CaptionEvent
from stream.cluster.connection import DatabaseConnection, DatabaseUnavailable
from stream.cluster.event_log import EventReader, EventWriter, delete_expired, read_latest
from stream.cluster.membership import LEASE_S, SINKS, Membership
from stream.cluster.schema import CHANNEL, Identity, create_tables
from stream.cluster.stand_ins import ReadPicture, StandIns
from stream.feeds import FeedSettings
from stream.publishing import MAX_RECENT_CAPTIONS, Publications, StreamReport
from stream.restart import Backoff, restart_on_failure

_ID_BYTES = 6
_POLL_S = 1.0
"""How often the log is read without a notification."""

_RETRY_S = 0.5
_START_S = 5.0
"""How long a start waits for the database."""

_STOP_S = 5.0
_SETTLE_S = 3.0
"""How long to wait for a feed to stop before another server may have it."""

_CATCH_UP_S = 5.0
"""How long a feed that was leased waits for the captions of its last server."""

_BURST = 16
"""Captions that are published at once: subscribers queue a few only."""

_BURST_PAUSE_S = 0.02
_APPLY_S = 5.0
_REPORT_DELAY_S = 0.1
_SOON_S = 0.05
_EXPIRE_INTERVAL_S = 60.0
_MAX_NOTICE_BYTES = 7000

logger = logging.getLogger(__name__)

Notice = dict[str, Any]
RunFeeds = Callable[[Mapping[str, FeedSettings]], Awaitable[None]]


class Cluster:
    """Runs the feeds that this server leases, and publishes the captions of the others.

    While the database is away, everything local goes on, except for feeds: their leases end.
    """

    def __init__(
        self,
        url: str,
        own_url: str,
        publications: Publications,
        run_feeds: RunFeeds,
        read_picture: ReadPicture,
        *,
        has_sinks: bool,
    ) -> None:
        """Prepare; nothing is connected before `start`.

        Args:
            url: URL of the database.
            own_url: How others reach this server; empty if they cannot.
            publications: The published streams.
            run_feeds: Runs exactly these feeds.
            read_picture: Reads a picture from another server.
            has_sinks: Whether captions are sent to sinks, by one server of the cluster.
        """
        self.own_url = own_url
        self.id = secrets.token_hex(_ID_BYTES)
        """Id of this server, new at each start."""
        self.identity: Identity | None = None
        """The cluster's identity; None until the database has answered once."""
        self.local_captions: Broadcast[CaptionEvent] = Broadcast()
        """Publishes the captions of the streams of this server only."""
        self.notices: Broadcast[Notice] = Broadcast()
        """Publishes what servers notify each other of; `kind` says what it is."""
        self.reconnections: Broadcast[None] = Broadcast()
        """Publishes that notices may have been missed."""
        self.connection = DatabaseConnection(url, "leases", self._create_tables)
        self.reading = DatabaseConnection(url, "captions", self._listen)
        self.changes: Broadcast[None] = Broadcast()
        """Publishes that the leases of this server, or what is known of others, have changed."""
        self._publications, self._run_feeds = publications, run_feeds
        self._feeds: Mapping[str, FeedSettings] = {}
        self.membership = Membership(
            self.connection, self.id, own_url, self._on_change, self._settle, wants_sinks=has_sinks
        )
        self.writer = EventWriter(
            self.connection, self.id, self.membership.token, self.membership.drop
        )
        self.reader = EventReader(self.reading, without=self.id)
        self._reading_log = asyncio.Lock()
        self._stand_ins = StandIns(publications, read_picture, self._set_viewers)
        self._applying = asyncio.Lock()
        self._changed, self._report_due = asyncio.Event(), asyncio.Event()
        self._reports: dict[str, tuple[int, StreamReport]] = {}
        """The lease's token and the report, as the database has them."""
        self._running: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._unsubscribe: list[Callable[[], None]] = []
        self._is_reading = False

    @property
    def urls(self) -> Collection[str]:
        """How the other servers are reached, as far as is known."""
        return [url for url in self.membership.view.urls.values() if url]

    @property
    def sinks_token(self) -> int | None:
        """Token of the lease of the server that sends captions to sinks; None if it is another."""
        return self.membership.token(SINKS)

    @property
    def is_connected(self) -> bool:
        """Whether the database answers."""
        return self.connection.is_up and self.reading.is_up

    async def start(self, feeds: Mapping[str, FeedSettings]) -> None:
        """Join the cluster; waits for the database for a few seconds only."""
        self._unsubscribe = [
            self._publications.captions.subscribe(self._on_caption),
            self._publications.changes.subscribe(lambda _: self._on_streams_changed()),
        ]
        self._publications.accepts = self._accepts
        self.configure(feeds)
        self._stand_ins.update(self.membership.view, feeds, is_cut_off=True)
        with suppress(DatabaseUnavailable, TimeoutError):
            async with asyncio.timeout(_START_S):
                await self.membership.join()
                self._stand_ins.update(self.membership.view, feeds, is_cut_off=False)
                await self._start_reading()
        work = {
            "membership": self.membership.run,
            "writer": self.writer.run,
            "reader": self._read,
            "feeds": self._apply_changes,
            "reports": self._report,
            "retention": self._delete_expired,
        }
        self._tasks = [
            asyncio.create_task(
                restart_on_failure(f"the cluster's {name}", each, Backoff(_POLL_S, _POLL_S)),
                name=f"cluster {name}",
            )
            for name, each in work.items()
        ]

    def configure(self, feeds: Mapping[str, FeedSettings]) -> None:
        """Apply new settings of the feeds, which should be the same on all servers."""
        self._feeds = dict(feeds)
        self.membership.configure(feeds)
        self._changed.set()

    def notify(self, notice: Notice) -> None:
        """Notify all servers, this one among them, if the database can be reached now."""
        text = json.dumps(notice)
        if len(text.encode()) > _MAX_NOTICE_BYTES:
            return

        async def send() -> None:
            with suppress(DatabaseUnavailable):
                await self.connection.fetch("SELECT pg_notify(%s, %s)", (CHANNEL, text))

        task = asyncio.create_task(send(), name="cluster notice")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def close(self) -> None:
        """Stop the feeds, write what is left, and release the leases; takes a bounded time."""
        for task in (*self._tasks, *self._sending):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._sending, return_exceptions=True)
        held = set(self.membership.held)
        try:
            async with asyncio.timeout(_STOP_S):
                async with self._applying:
                    await self._run_feeds({})
                if held or self.connection.is_up:
                    await self.writer.flush()
                    await self.membership.leave()
        except (DatabaseUnavailable, TimeoutError):
            logger.warning("the leases of this server were not released; they expire")
        for each in self._unsubscribe:
            each()
        self._stand_ins.close()
        await self.connection.close()
        await self.reading.close()

    async def _create_tables(self, connection: AsyncConnection) -> None:
        self.identity = await create_tables(connection)
        # If this connection was cut, so was the other one, which may not have noticed yet.
        self.reading.reset()

    async def _listen(self, connection: AsyncConnection) -> None:
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
        self.membership.hurry()
        self.reconnections.publish(None)

    def _on_caption(self, event: CaptionEvent) -> None:
        if not self._stand_ins.is_delivering:
            self.local_captions.publish(event)
            self.writer.add(event)

    def _accepts(self, event: CaptionEvent) -> bool:
        """Whether this server may still publish captions of a feed."""
        return event.stream not in self._feeds or self.membership.token(event.stream) is not None

    def _own_streams(self) -> dict[str, StreamReport]:
        return {
            stream.name: StreamReport.of(stream)
            for stream in self._publications.all()
            if not self._publications.is_stand_in(stream)
        }

    def _on_streams_changed(self) -> None:
        sessions = {name for name, each in self._own_streams().items() if each.kind == "session"}
        self.membership.claim_sessions(sessions)
        self._report_due.set()

    def _set_viewers(self, viewers: Mapping[str, int]) -> None:
        self.membership.viewers = dict(viewers)
        self.membership.hurry()

    def _on_change(self) -> None:
        self._changed.set()
        self._report_due.set()
        self.changes.publish(None)

    async def _apply_changes(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_APPLY_S):
                    await self._changed.wait()
            self._changed.clear()
            await self._apply()

    async def _apply(self) -> None:
        """Run exactly the feeds whose lease is valid."""
        self._stand_ins.update(
            self.membership.view, self._feeds, is_cut_off=not self.connection.is_up
        )
        if self._leased() - self._running:
            await self._catch_up()
        async with self._applying:
            self._running = self._leased()
            await self._run_feeds({name: self._feeds[name] for name in self._running})

    async def _catch_up(self) -> None:
        """Read what is in the log now, so that the captions of a feed's last server come first."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CATCH_UP_S):
                while True:
                    with suppress(DatabaseUnavailable):
                        await self._start_reading()
                        return await self._read_all()
                    await asyncio.sleep(_SOON_S)

    def _leased(self) -> set[str]:
        return {name for name in self._feeds if self.membership.token(name) is not None}

    async def _settle(self) -> None:
        """Stop what is not leased any more, and write its last captions."""
        with suppress(DatabaseUnavailable, TimeoutError):
            async with asyncio.timeout(_SETTLE_S):
                await self._apply()
                await self.writer.flush()

    async def _read(self) -> None:
        while True:
            try:
                await self._start_reading()
                await self._read_all()
                for notice in await self.reading.run(_wait_for_notices, LEASE_S):
                    self._on_notice(notice)
            except DatabaseUnavailable:
                await asyncio.sleep(_RETRY_S)

    async def _start_reading(self) -> None:
        """Read from the end of the log on; older captions are for readers that reconnect."""
        async with self._reading_log:
            if not self._is_reading:
                await self._find_end()

    async def _find_end(self) -> None:
        if self.identity is None:
            raise DatabaseUnavailable("the tables are not created yet")
        await self.reader.start_at_end()
        latest = await read_latest(self.reading, MAX_RECENT_CAPTIONS)
        known = [each for each in latest if each.seq <= self.reader.cursors.get(each.origin, 0)]
        self._publications.recent.restore([each.event for each in known])
        for each in known:
            self._stand_ins.restore(each.event)
        self._is_reading = True

    async def _read_all(self) -> None:
        async with self._reading_log:
            while events := await self.reader.read():
                for number, each in enumerate(events, 1):
                    self._stand_ins.receive(each.event)
                    if number % _BURST == 0:
                        await _let_others_run()

    def _on_notice(self, text: str) -> None:
        try:
            notice = json.loads(text)
            kind = notice["kind"]
        except (ValueError, KeyError, TypeError):
            return
        if kind == "leases":
            self.membership.hurry()
        self.notices.publish(notice)

    async def _report(self) -> None:
        """Tell the others the state of this server's streams when it changes."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._report_due.wait()
            await asyncio.sleep(_REPORT_DELAY_S)
            self._report_due.clear()
            own = {
                name: (token, each)
                for name, each in self._own_streams().items()
                if (token := self.membership.token(name)) is not None
            }
            changed = {name: each for name, each in own.items() if self._reports.get(name) != each}
            try:
                if changed:
                    await self.membership.report(
                        {name: each.to_json() for name, (_, each) in changed.items()}
                    )
            except DatabaseUnavailable:
                continue
            self._reports = own

    async def _delete_expired(self) -> None:
        while True:
            await asyncio.sleep(_EXPIRE_INTERVAL_S)
            with suppress(DatabaseUnavailable):
                await delete_expired(self.connection)
                await self.reader.forget_former_servers()


async def _let_others_run() -> None:
    """Give subscribers time to take several captions each, also when the event loop is busy."""
    for _ in range(4 * _BURST):
        await asyncio.sleep(0)
    await asyncio.sleep(_BURST_PAUSE_S)


async def _wait_for_notices(connection: AsyncConnection) -> list[str]:
    """Wait a moment for notices; return those that came."""
    started = time.monotonic()
    notices = [each.payload async for each in connection.notifies(timeout=_POLL_S, stop_after=1)]
    if time.monotonic() - started >= _POLL_S:
        # So that a connection that is cut is noticed.
        await connection.execute("SELECT 1")
    return notices
