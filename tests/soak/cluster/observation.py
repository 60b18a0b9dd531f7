"""Observers of a cluster: of its database, of what each server sends, and of a browser's login."""

import asyncio
import contextlib
import json
import threading
import time
from http.cookies import SimpleCookie

import psycopg
from aiohttp import ClientError, ClientSession, ClientTimeout, StreamReader

from tests.soak.cluster.record import Committed, Follower, Record
from tests.soak.cluster.servers import VIEWER, ClusterServer, SoakCluster

_POLL_S = 0.5
_BEARER = {"Authorization": f"Bearer {VIEWER}"}
_UNLIMITED = ClientTimeout(total=None, connect=3, sock_read=30)
_SHORT = ClientTimeout(total=5)


class Observation:
    """Follows everything. `run` it."""

    def __init__(self, cluster: SoakCluster, record: Record) -> None:
        """Prepare to fill a record."""
        self._cluster, self._record = cluster, record
        self._position = 0
        self._reading = threading.Lock()
        self._cookie = ""
        self._latest: dict[int, dict[str, float]] = {}
        """When the latest caption of each feed was captured, by number of the server."""

    async def run(self) -> None:
        """Observe until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read_database())
            for server in self._cluster.servers:
                tasks.create_task(self._follow(server))

    def captions_since(self, since: float) -> bool:
        """Whether all servers that run have sent a newer caption of each feed."""
        running = [each.machine.number for each in self._cluster.servers if each.is_running]
        return all(
            self._latest.get(number, {}).get(feed, 0.0) > since
            for number in running
            for feed in self._cluster.feeds
        )

    async def log_in(self) -> None:
        """Log in at the first server."""
        async with (
            ClientSession(timeout=_SHORT) as http,
            http.post(f"{self._cluster.servers[0].url}/login", json={"token": VIEWER}) as response,
        ):
            cookies: SimpleCookie = SimpleCookie(response.headers["Set-Cookie"])
            self._cookie = "; ".join(f"{name}={each.value}" for name, each in cookies.items())

    async def check_login(self, when: str) -> None:
        """Note each server that runs and does not know the browser."""
        for server in self._cluster.servers:
            if not server.is_running:
                continue
            role = None
            with contextlib.suppress(ClientError, OSError, TimeoutError):
                async with (
                    ClientSession(timeout=_SHORT) as http,
                    http.get(f"{server.url}/api/me", headers={"Cookie": self._cookie}) as response,
                ):
                    role = (await response.json())["role"]
            if role != "viewer":
                about = f"logged out at server {server.machine.number} {when}"
                self._record.logged_out.append(about)

    async def read_rest(self) -> None:
        """Read what is left in the database, in the end."""
        await asyncio.to_thread(self._read_rows)

    async def _read_database(self) -> None:
        while True:
            with contextlib.suppress(psycopg.Error):
                await asyncio.to_thread(self._read_rows)
            await asyncio.sleep(_POLL_S)

    def _read_rows(self) -> None:
        # The last reading may begin while another is under way.
        with self._reading:
            self._read_new_rows()

    def _read_new_rows(self) -> None:
        # Positions may become visible out of order, so all recent rows are read each time.
        known = {each.id for each in self._record.committed[-2000:]}
        with psycopg.connect(self._cluster.url, connect_timeout=2) as connection:
            rows = connection.execute(
                "SELECT position, token, body FROM cluster_events WHERE position > %s "
                "ORDER BY position",
                (max(0, self._position - 200),),
            ).fetchall()
        for position, token, body in rows:
            event = json.loads(body)
            id_ = f"{event['stream']}-{round(1e3 * event['captured'])}"
            if id_ not in known:
                caption = Committed(id_, event["stream"], token, event["captured"])
                self._record.committed.append(caption)
            self._position = max(self._position, position)

    async def _follow(self, server: ClusterServer) -> None:
        number = server.machine.number
        while True:
            follower = Follower(number, time.time())
            with contextlib.suppress(ClientError, OSError, TimeoutError):
                async with (
                    ClientSession(timeout=_UNLIMITED) as http,
                    http.get(f"{server.url}/api/events", headers=_BEARER) as response,
                ):
                    follower.began = time.time()
                    self._record.followers.append(follower)
                    await self._receive(follower, response.content)
            follower.ended = time.time()
            await asyncio.sleep(0.05)

    async def _receive(self, follower: Follower, lines: StreamReader) -> None:
        kind, id_ = "", ""
        try:
            async for line in lines:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                match name:
                    case "event":
                        kind = value
                    case "id":
                        id_ = value
                    case "data" if kind == "caption":
                        self._add(follower, id_, json.loads(value))
                    case "data" if kind == "missed":
                        follower.missed += json.loads(value)["count"]
        finally:
            follower.ended = time.time()

    def _add(self, follower: Follower, id_: str, caption: dict[str, object]) -> None:
        feed, frame = str(caption["feed"]), caption["frame"]
        assert isinstance(frame, dict)
        captured = float(frame["time"])
        if captured < follower.began - 60:
            return
        follower.ids.append(id_)
        follower.captured.setdefault(feed, []).append(captured)
        latest = self._latest.setdefault(follower.server, {})
        latest[feed] = max(latest.get(feed, 0.0), captured)
