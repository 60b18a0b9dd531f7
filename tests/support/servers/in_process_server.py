"""The server as it is started, in this process and with captions that a test scripts."""

import asyncio
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientError, ClientSession

from tests.support.captions import ScriptedCaptions, sure
from web.service.serving import serve
from web.settings.server import read_settings


class Served:
    """A server that goes by a file, which may be changed."""

    def __init__(self, config: Path, port: int) -> None:
        self.config, self.port = config, port
        self.task: asyncio.Task[None] | None = None

    def configure(self, text: str) -> None:
        """Change the file; the server does not know yet."""
        self.config.write_text(f"port = {self.port}\n{text}", encoding="utf-8")

    def reload(self, text: str) -> None:
        """Change the file, and tell the server."""
        self.configure(text)
        os.kill(os.getpid(), signal.SIGHUP)


@asynccontextmanager
async def served(folder: Path, text: str = "", *, tls: bool = False) -> AsyncIterator[Served]:
    """A server with these settings, on a free port, that listens."""
    here = Served(folder / "sightline.toml", _free_port())
    here.configure(text)
    captions = ScriptedCaptions(sure("A cup"))
    here.task = asyncio.create_task(
        serve(read_settings(here.config, {}), lambda: read_settings(here.config, {}), captions)
    )
    try:
        await _until_listening(here, tls=tls)
        yield here
    finally:
        if not here.task.done():
            os.kill(os.getpid(), signal.SIGTERM)
        await here.task


async def _until_listening(here: Served, *, tls: bool) -> None:
    assert here.task
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    scheme = "https" if tls else "http"
    async with ClientSession() as client:
        while not here.task.done():
            try:
                url = f"{scheme}://127.0.0.1:{here.port}/healthz"
                async with client.get(url, ssl=unchecked):
                    return
            except ClientError:
                await asyncio.sleep(0.02)
    await here.task


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
