"""The server as people run it: a process of its own, for whatever watches it from outside."""

import asyncio
import contextlib
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import BinaryIO

import psutil
from aiohttp import ClientError, ClientSession

ROOT = Path(__file__).parent.parent


SCRIPTED = ("-m", "tests.support.scripted_server")
"""The program with a captioner that says one thing, and nothing to load."""


_LISTEN_S = 30.0


_READY_S = 300.0


_PAUSE_S = 0.1


_ENDING_S = 10.0


class ServerFailed(RuntimeError):
    """The server ended, or never came to be ready; the message has the end of its log."""


class RunningServer:
    """A server on a free port; what it logs lies in a file."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, log: Path) -> None:
        """Take over a process that listens at an URL and logs to a file."""
        self.process, self.url, self._log = process, url, log
        self.pid = process.pid

    @classmethod
    @contextlib.asynccontextmanager
    async def started(
        cls,
        *arguments: str,
        config: str = "",
        within: Sequence[str] = (),
        program: Sequence[str] = ("server.py",),
    ) -> AsyncIterator["RunningServer"]:
        """Run a server for as long as the context lasts.

        Args:
            arguments: Of the command line, besides the port.
            config: The settings, as TOML.
            within: A command that runs the one given to it in its place, as `unshare --net`.
            program: What to run; `SCRIPTED` where the captioner is not the point.

        Raises:
            ServerFailed: If it ends before it listens.
        """
        with tempfile.TemporaryDirectory() as folder:
            settings, log = Path(folder, "settings.toml"), Path(folder, "log")
            _write(settings, config)
            command = [*within, sys.executable, "-u", *program, "--port", "0"]
            with _opened(log) as output:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    *("--config", str(settings)),
                    *arguments,
                    cwd=ROOT,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            try:
                yield cls(process, await _listening(process, log), log)
            finally:
                await _end(process)

    @property
    def log(self) -> str:
        """All that it said so far."""
        return _read(self._log)

    @property
    def engines(self) -> list[psutil.Process]:
        """The processes that caption: the one that answers, and the one on standby."""
        found = []
        for child in psutil.Process(self.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "inference.engine.worker" in child.cmdline():
                    found.append(child)
        # The one on standby takes over, and another is started then.
        return sorted(found, key=lambda process: process.create_time())

    @property
    def engine(self) -> psutil.Process | None:
        """The process that captions now, if there is one."""
        return next(iter(self.engines), None)

    async def wait_ready(self) -> None:
        """Wait until it captions.

        Raises:
            ServerFailed: If it ends instead, or takes too long.
        """
        async with ClientSession() as client:
            for _ in range(round(_READY_S / _PAUSE_S)):
                if self.process.returncode is not None:
                    break
                with contextlib.suppress(ClientError):
                    async with client.get(f"{self.url}/readyz") as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(_PAUSE_S)
        raise ServerFailed(f"the server was never ready:\n{self.log[-4000:]}")


def _write(settings: Path, config: str) -> None:
    settings.write_text(config, encoding="utf-8")


def _opened(log: Path) -> BinaryIO:
    return log.open("wb")


def _read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


async def _listening(process: asyncio.subprocess.Process, log: Path) -> str:
    for _ in range(round(_LISTEN_S / _PAUSE_S)):
        if found := re.search(r"https?://[^\s/\"]+:\d+", _read(log)):
            return found[0]
        if process.returncode is not None:
            break
        await asyncio.sleep(_PAUSE_S)
    raise ServerFailed(f"the server does not listen:\n{_read(log)[-4000:]}")


async def _end(process: asyncio.subprocess.Process) -> None:
    children = []
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(_ENDING_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
