"""The servers of the cluster, each a process on a machine of its own, and their database."""

import asyncio
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from aiohttp import ClientError, ClientSession, ClientTimeout

from tests.soak.cluster.machines import Machine
from tests.support.postgres import PostgresServer
from tests.support.servers.server_process import ROOT, SCRIPTED

FEEDS = ("alley", "barn", "court", "dock", "estuary")
INTERVAL_S = 0.5
"""Seconds between captions of a feed."""

VIEWER = "viewer-token-of-the-soak"
_PORT = 4200
_START_S = 180.0
_STOP_S = 15.0
_TIMEOUT = ClientTimeout(total=5)


class ClusterServer:
    """A server that is killed and started again; each time it is a new member of the cluster."""

    def __init__(self, machine: Machine, database: str, feeds: Sequence[str], folder: Path) -> None:
        """Prepare a server.

        Args:
            machine: Where it runs.
            database: URL of the database, as the machine reaches it.
            feeds: Names of the feeds.
            folder: A folder for its settings and its log.
        """
        self.machine, self.url = machine, f"http://{machine.address}:{_PORT}"
        self.log = folder / f"server-{machine.number}.log"
        self._settings = folder / f"server-{machine.number}.toml"
        tables = "".join(
            f'[feeds.{name}]\nsource = "demo"\ninterval_s = {INTERVAL_S}\n' for name in feeds
        )
        self._settings.write_text(
            # One process a server, as there are three on this machine.
            f"{tables}[stream]\nmedia_processes = 0\n"
            f'[access]\nviewer_token = "{VIEWER}"\n'
            f'[cluster]\ndatabase = "{database}"\nurl = "{self.url}"\n'
        )
        self._process: asyncio.subprocess.Process | None = None

    @property
    def is_running(self) -> bool:
        """Whether its process runs."""
        return self._process is not None

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        command = (*self.machine.prefix, sys.executable, *SCRIPTED)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                *("--host", self.machine.address, "--port", str(_PORT)),
                *("--config", str(self._settings)),
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _START_S
        async with ClientSession(timeout=_TIMEOUT) as http:
            while self._process.returncode is None and time.monotonic() < deadline:
                with contextlib.suppress(ClientError, OSError):
                    async with http.get(f"{self.url}/healthz"):
                        return
                await asyncio.sleep(0.1)
        tail = self.log.read_text(errors="replace")[-4000:]
        raise RuntimeError(f"server {self.machine.number} does not answer:\n{tail}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        assert self._process
        self._process.send_signal(number)

    async def end(self, number: signal.Signals) -> None:
        """End the process by a signal."""
        if self._process is None:
            return
        process, self._process = self._process, None
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


class SoakCluster:
    """The servers and their database."""

    def __init__(
        self,
        servers: Sequence[ClusterServer],
        feeds: Sequence[str],
        postgres: PostgresServer,
        url: str,
    ) -> None:
        """Wrap what runs.

        Args:
            servers: The servers.
            feeds: Names of their feeds.
            postgres: The database server.
            url: URL of the database by its socket.
        """
        self.servers, self.feeds, self.postgres, self.url = servers, feeds, postgres, url

    @property
    def log(self) -> str:
        """What all servers have logged."""
        return "".join(each.log.read_text(errors="replace") for each in self.servers)

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls, machines: Sequence[Machine], feeds: Sequence[str]
    ) -> AsyncIterator["SoakCluster"]:
        """Run a server with these feeds on each machine until the context ends."""
        postgres = PostgresServer(listen="0.0.0.0")
        try:
            name = postgres.create_database()
            with tempfile.TemporaryDirectory() as folder:
                servers = [
                    ClusterServer(
                        each, postgres.url(name, host=each.database_address), feeds, Path(folder)
                    )
                    for each in machines
                ]
                try:
                    await asyncio.gather(*(each.start() for each in servers))
                    yield cls(servers, feeds, postgres, postgres.url(name))
                finally:
                    ending = [each.end(signal.SIGTERM) for each in servers]
                    await asyncio.gather(*ending, return_exceptions=True)
        finally:
            postgres.stop()
