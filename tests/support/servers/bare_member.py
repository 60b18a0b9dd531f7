"""A member of a cluster without a server, for tests of the log of captions."""

from dataclasses import replace
from typing import Self

from stream.clock import boottime
from stream.cluster.connection import DatabaseConnection
from stream.cluster.event_log import EventWriter
from stream.cluster.membership import Membership
from stream.cluster.schema import create_tables
from tests.support.captions import caption_event


class BareMember:
    """A member of a cluster that captions nothing: its leases, and what it writes into the log."""

    def __init__(self, url: str, name: str, feed: str = "yard") -> None:
        """Prepare a member with a feed.

        Args:
            url: URL of the database.
            name: Id of the server.
            feed: Name of the feed.
        """

        async def prepare(connection: object) -> None:
            await create_tables(connection)  # type: ignore[arg-type]

        self.seq = 0
        self.name, self.feed, self.lost = name, feed, set[str]()
        self.connection = DatabaseConnection(url, name, prepare)
        self.membership = Membership(
            self.connection, name, "", lambda: None, self._settle, wants_sinks=False
        )
        self.membership.configure([feed])
        self.writer = EventWriter(
            self.connection, name, self.membership.token, lambda names: self.lost.update(names)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()

    async def _settle(self) -> None:
        pass

    async def beat(self) -> None:
        """Renew the leases, and take the feed if it is free."""
        await self.membership._beat()

    async def write(self, *texts: str) -> None:
        """Write captions with these texts."""
        for text in texts:
            self.seq += 1
            now = boottime()
            event = replace(
                caption_event(text, self.seq, self.feed),
                captured_boottime=now - 1.5,
                received_boottime=now - 1,
            )
            self.writer.add(event)
        await self.writer.flush()
