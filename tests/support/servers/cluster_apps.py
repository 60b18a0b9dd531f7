"""Several servers of a cluster in one process, with scripted captions and demo feeds."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Self

from aiohttp.test_utils import TestClient, TestServer, unused_port

from stream.captioning.event import CaptionEvent
from stream.cluster.cluster import Cluster
from stream.publishing.publications import Publications
from tests.support.captions import ScriptedCaptions, confident_caption
from web.app import create_app
from web.keys import CLUSTER, MEDIA, PUBLICATIONS
from web.settings.server import ServerSettings

Client = TestClient[Any, Any]


class ClusterServer:
    """One server, with all captions that it has published."""

    def __init__(self, client: Client, service: ScriptedCaptions) -> None:
        """Follow the captions of a server, from its start on."""
        assert client.app
        self.client, self.service = client, service
        self.cluster: Cluster = client.app[CLUSTER]
        self.publications: Publications = client.app[PUBLICATIONS]
        self.captions: list[CaptionEvent] = []
        self.own: list[tuple[float, CaptionEvent]] = []
        """Captions of its own feeds, with the time of each."""
        self.publications.captions.subscribe(self.captions.append)
        self.cluster.local_captions.subscribe(
            lambda event: self.own.append((time.monotonic(), event))
        )

    @property
    def feeds(self) -> set[str]:
        """The feeds that it captions."""
        return self.cluster.membership.streams

    @property
    def viewers(self) -> int:
        """Sessions that watch a feed here."""
        assert self.client.app
        viewers: int = self.client.app[MEDIA].sessions.viewers
        return viewers

    @property
    def url(self) -> str:
        """Where it listens."""
        return str(self.client.make_url("/")).rstrip("/")


class ClusterServers:
    """Starts and stops servers that share a database; an async context manager."""

    def __init__(
        self, database_url: str, feeds: Sequence[str] = ("yard",), **settings: Any
    ) -> None:
        """Prepare servers.

        Args:
            database_url: The database.
            feeds: Names of their feeds.
            settings: Fields of `ServerSettings`.
        """
        self._database_url, self._settings = database_url, settings
        self._feeds = {name: {"source": "demo", "interval_s": 0.25} for name in feeds}
        self._stacks: dict[ClusterServer, AsyncExitStack] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in list(self._stacks):
            await self.stop(server)

    async def start(self, database_url: str = "", **settings: Any) -> ClusterServer:
        """Start one more server."""
        port = unused_port()
        cluster = {
            "database": database_url or self._database_url,
            "url": f"http://127.0.0.1:{port}",
        }
        values = {"feeds": self._feeds, "cluster": cluster, **self._settings, **settings}
        service = ScriptedCaptions(confident_caption("A dog runs"))
        app = create_app(ServerSettings.model_validate(values), service)
        stack = AsyncExitStack()
        server = ClusterServer(TestClient(TestServer(app, port=port)), service)
        await stack.enter_async_context(server.client)
        self._stacks[server] = stack
        return server

    async def stop(self, server: ClusterServer) -> None:
        """Stop a server."""
        await self._stacks.pop(server).aclose()


async def eventually(condition: Callable[[], object], within_s: float = 15.0) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)
