"""The health check of a container, which reads where the server listens."""

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from tests.support.servers.in_process_server import in_process_server
from web.probe import main, probe


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
async def test_a_server_is_healthy_while_it_listens_whatever_its_address(
    tmp_path: Path, tls: bool, host: str
) -> None:
    file = tmp_path / "address"
    text = (
        f"host = '{host}'\naddress_file = '{file}'\n"
        f"[https]\non = {str(tls).lower()}\nfolder = '{tmp_path}'\n"
    )
    async with in_process_server(tmp_path, text, tls=tls, host=host) as server:
        assert file.read_text() == f"{'https' if tls else 'http'}://{host}:{server.port}\n"
        assert await asyncio.to_thread(probe, file) == ""
    assert "does not listen" in probe(file)


async def test_a_server_runs_if_its_address_cannot_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = f"address_file = '{tmp_path}/nowhere/address'\n"
    async with in_process_server(tmp_path, text):
        assert f"address_file {tmp_path}/nowhere/address: No such file" in caplog.text


def test_a_server_without_http_responses_is_not_healthy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "address"
    monkeypatch.setenv("SIGHTLINE_ADDRESS_FILE", str(file))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        file.write_text(f"http://127.0.0.1:{listening.getsockname()[1]}\n")
        hanging_up = threading.Thread(target=lambda: listening.accept()[0].close())
        hanging_up.start()
        assert main() == 1
        hanging_up.join()
    assert f"no response from {file.read_text().strip()}" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"http://[::1", b"http://host:99999"])
def test_a_file_without_a_url_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "address"
    file.write_bytes(content)
    assert f"{file} contains no URL" in probe(file)
