"""The server in a process of its own, as in production."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import BinaryIO

import psutil
from aiohttp import ClientError, ClientSession

ROOT = Path(__file__).parents[3]

SCRIPTED = ("-m", "tests.support.servers.scripted_server")
"""The server with scripted captions, which loads no model."""

_LISTEN_TIMEOUT_S = 30.0
_READY_TIMEOUT_S = 300.0
_STOP_TIMEOUT_S = 10.0
_POLL_INTERVAL_S = 0.1


class ServerFailed(RuntimeError):
    """The server exited or did not become ready; the message contains the end of its log."""


class ServerProcess:
    """A server on a free port that logs to a file."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, log: Path) -> None:
        """Wrap a process that listens at a URL."""
        self.process, self.url, self._log = process, url, log
        self.pid = process.pid

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls,
        *arguments: str,
        config: str = "",
        prefix: Sequence[str] = (),
        program: Sequence[str] = ("server.py",),
        media_processes: int | None = 0,
    ) -> AsyncIterator["ServerProcess"]:
        """Run a server until the context ends.

        Args:
            arguments: Arguments besides the port and the configuration.
            config: The configuration, as TOML.
            prefix: A command that runs the command that follows it, such as `unshare --net`.
            program: Arguments of Python; `SCRIPTED` if the test needs no model.
            media_processes: Largest number of media processes, each of which takes a second to
                start; as many as by default if None.

        Raises:
            ServerFailed: If the server exits before it listens.
        """
        with tempfile.TemporaryDirectory() as folder:
            settings, log = Path(folder, "settings.toml"), Path(folder, "log")
            environment = dict(os.environ)
            if media_processes is not None:
                environment["SIGHTLINE_STREAM__MEDIA_PROCESSES"] = str(media_processes)
            _write(settings, config)
            with _open(log) as output:
                process = await asyncio.create_subprocess_exec(
                    *(*prefix, sys.executable, "-u", *program),
                    *("--port", "0", "--config", str(settings)),
                    *arguments,
                    cwd=ROOT,
                    env=environment,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            try:
                yield cls(process, await _wait_for_url(process, log), log)
            finally:
                await _stop(process)

    @property
    def log(self) -> str:
        """Everything logged so far."""
        return _read(self._log)

    @property
    def engines(self) -> list[psutil.Process]:
        """The engine's processes: first the worker in use, then the standby."""
        # The standby replaces the worker in use, and only then is another started.
        return self._running("inference.engine.worker")

    @property
    def media_processes(self) -> list[psutil.Process]:
        """The media processes, in the order in which they were started."""
        return self._running("stream.media.worker")

    @property
    def engine(self) -> psutil.Process | None:
        """The worker in use, if there is one."""
        return next(iter(self.engines), None)

    def _running(self, module: str) -> list[psutil.Process]:
        """Return the child processes that run a module, the oldest first."""
        found = []
        for child in psutil.Process(self.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if module in child.cmdline():
                    found.append(child)
        return sorted(found, key=lambda process: process.create_time())

    async def wait_ready(self) -> None:
        """Wait until the server captions.

        Raises:
            ServerFailed: If it exits instead, or takes too long.
        """
        async with ClientSession() as client:
            for _ in range(round(_READY_TIMEOUT_S / _POLL_INTERVAL_S)):
                if self.process.returncode is not None:
                    break
                with contextlib.suppress(ClientError):
                    async with client.get(f"{self.url}/readyz") as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(_POLL_INTERVAL_S)
        raise ServerFailed(f"the server did not become ready:\n{self.log[-4000:]}")


def _write(settings: Path, config: str) -> None:
    settings.write_text(config, encoding="utf-8")


def _open(log: Path) -> BinaryIO:
    return log.open("wb")


def _read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


async def _wait_for_url(process: asyncio.subprocess.Process, log: Path) -> str:
    for _ in range(round(_LISTEN_TIMEOUT_S / _POLL_INTERVAL_S)):
        if found := re.search(r"https?://[^\s/\"]+:\d+", _read(log)):
            return found[0]
        if process.returncode is not None:
            break
        await asyncio.sleep(_POLL_INTERVAL_S)
    raise ServerFailed(f"the server does not listen:\n{_read(log)[-4000:]}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    children = []
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
