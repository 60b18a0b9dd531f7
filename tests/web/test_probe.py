"""The health check of a container: the server lives, by http or https, or it does not."""

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from tests.web.served import served
from web.probe import lives


@pytest.mark.parametrize("tls", [False, True])
async def test_a_server_that_lives_is_found_to_live(tmp_path: Path, tls: bool) -> None:
    text = f"[https]\non = {str(tls).lower()}\nfolder = '{tmp_path}'\n"
    async with served(tmp_path, text, tls=tls) as here:
        assert await asyncio.to_thread(lives, here.port)
    assert not lives(here.port)


def test_what_answers_otherwise_does_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        port: int = listening.getsockname()[1]

        def hang_up() -> None:
            for _ in range(2):
                listening.accept()[0].close()

        hanging_up = threading.Thread(target=hang_up)
        hanging_up.start()
        assert not lives(port)
        hanging_up.join()
