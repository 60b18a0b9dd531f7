"""The server with its whole life cycle, in the test's process and with scripted captions."""

import asyncio
import os
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientError, ClientSession
from aiohttp.test_utils import unused_port

from tests.support.captions import ScriptedCaptions, confident_caption
from web.service.serving import serve
from web.settings.server import ServerSettings, read_settings


class InProcessServer:
    """A running server and its configuration file, which a test may change."""

    def __init__(self, config: Path, port: int) -> None:
        """Prepare a server."""
        self.config, self.port = config, port
        self.task: asyncio.Task[None] | None = None

    def configure(self, text: str) -> None:
        """Write the configuration file without reloading it."""
        self.config.write_text(f"port = {self.port}\n{text}", encoding="utf-8")

    def reload(self, text: str) -> None:
        """Write the configuration file and reload it."""
        self.configure(text)
        os.kill(os.getpid(), signal.SIGHUP)


@asynccontextmanager
async def in_process_server(
    folder: Path,
    text: str = "",
    *,
    tls: bool = False,
    host: str = "127.0.0.1",
    captions: ScriptedCaptions | None = None,
) -> AsyncIterator[InProcessServer]:
    """Run a server on a free port until the context ends.

    Args:
        folder: Folder of the configuration file.
        text: The configuration, as TOML, without the port.
        tls: Whether the configuration enables HTTPS.
        host: An address at which it listens, in brackets if it is an IPv6 one.
        captions: The caption service; captions every frame with "A cup" by default.
    """
    server = InProcessServer(folder / "sightline.toml", unused_port())
    server.configure(text)
    service = captions or ScriptedCaptions(confident_caption("A cup"))

    def read() -> ServerSettings:
        return read_settings(server.config, {})

    server.task = asyncio.create_task(serve(read(), read, service))
    try:
        scheme = "https" if tls else "http"
        await _wait_until_listening(server, f"{scheme}://{host}:{server.port}/healthz")
        yield server
    finally:
        if not server.task.done():
            os.kill(os.getpid(), signal.SIGTERM)
        await server.task


async def _wait_until_listening(server: InProcessServer, url: str) -> None:
    assert server.task
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    async with ClientSession() as client:
        while not server.task.done():
            try:
                async with client.get(url, ssl=unverified):
                    return
            except ClientError:
                await asyncio.sleep(0.02)
    await server.task
