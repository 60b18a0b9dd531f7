"""The health check of a container, over HTTP and HTTPS."""

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from tests.support.servers.in_process_server import in_process_server
from web.probe import is_healthy


@pytest.mark.parametrize("tls", [False, True])
async def test_a_running_server_is_healthy(tmp_path: Path, tls: bool) -> None:
    text = f"[https]\non = {str(tls).lower()}\nfolder = '{tmp_path}'\n"
    async with in_process_server(tmp_path, text, tls=tls) as server:
        assert await asyncio.to_thread(is_healthy, server.port)
    assert not is_healthy(server.port)


def test_a_server_without_http_responses_is_not_healthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        port: int = listening.getsockname()[1]

        def hang_up() -> None:
            for _ in range(2):
                listening.accept()[0].close()

        hanging_up = threading.Thread(target=hang_up)
        hanging_up.start()
        assert not is_healthy(port)
        hanging_up.join()
