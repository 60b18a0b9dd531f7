"""The server's life: signals, what is read again, what is told to systemd, how it ends."""

import asyncio
import json
import logging
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from aiortc import RTCSessionDescription

from tests.support.peer import Peer
from tests.web.served import Served, served
from web.service.log import log_to_stderr
from web.settings.sections import LogSettings

ADMIN = "a" * 20
OTHER = "b" * 20


async def until_logged(caplog: pytest.LogCaptureFixture, told: str) -> None:
    async with asyncio.timeout(10):
        while told not in caplog.text:
            await asyncio.sleep(0.02)


async def watch_demo(peer: Peer, here: Served, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    body = {"sdp": (await peer.offer()).sdp, "type": "offer", "source": "demo"}
    async with (
        ClientSession(f"http://127.0.0.1:{here.port}", headers=headers) as client,
        client.post("/offer", json=body) as response,
    ):
        answer = await response.json()
    await peer.accept(RTCSessionDescription(answer["sdp"], answer["type"]))
    await peer.until(lambda: peer.pictures and peer.of_type("hello"))


async def role_of(here: Served, token: str) -> object:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        ClientSession(headers=headers) as client,
        client.get(f"http://127.0.0.1:{here.port}/api/me") as response,
    ):
        return (await response.json())["role"]


async def test_settings_are_read_again_and_sessions_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    text = f"[access]\nadmin_token = '{ADMIN}'\n"
    async with served(tmp_path, text) as here, Peer(None) as peer:
        await watch_demo(peer, here, ADMIN)

        here.reload(f"[access]\nadmin_token = '{OTHER}'\n[stream]\nsesions = 3\n")
        await until_logged(caplog, "line 5: setting 'stream.sesions'")
        assert "the settings stay as they were" in caplog.text
        assert "did you mean 'sessions'" in caplog.text
        assert await role_of(here, ADMIN) == "admin"

        here.reload(f"[access]\nadmin_token = '{OTHER}'\n[stream]\nsessions = 3\n")
        await until_logged(caplog, "at the next start: stream")
        assert await role_of(here, ADMIN) is None
        assert await role_of(here, OTHER) == "admin"
        seen = len(peer.pictures)
        await peer.until(lambda: len(peer.pictures) > seen + 5)
        assert not peer.of_type("error")


async def test_nobody_is_let_in_by_a_token_that_is_taken_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hosts = "[access]\nhosts = ['camera.example']\n"
    async with served(tmp_path, f"{hosts}admin_token = '{ADMIN}'\n") as here:
        here.reload(hosts)
        await until_logged(caplog, "others can reach the server")
        assert await role_of(here, OTHER) is None
        assert await role_of(here, ADMIN) == "admin"


async def test_feeds_come_and_go_and_those_that_stay_are_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stays = "[feeds.stays]\nsource = 'demo'\n"
    async with served(tmp_path, f"{stays}[feeds.goes]\nsource = 'demo'\n") as here:
        before = await feeds(here)
        assert set(before) == {"stays", "goes"}
        here.reload(f"{stays}[feeds.comes]\nsource = 'demo'\n")
        await until_logged(caplog, "changed: feeds")
        after = await feeds(here)
        assert set(after) == {"stays", "comes"}
        assert after["stays"]["signal"]["since"] == before["stays"]["signal"]["since"]


async def feeds(here: Served) -> dict[str, Any]:
    """The feeds, once they are all live."""
    async with ClientSession(f"http://127.0.0.1:{here.port}") as client, asyncio.timeout(10):
        while True:
            async with client.get("/api/feeds") as response:
                found = {feed["name"]: feed for feed in (await response.json())["feeds"]}
            if all(feed["signal"]["state"] == "live" for feed in found.values()) and found:
                return found
            await asyncio.sleep(0.05)


async def test_at_sigterm_clients_are_told_and_it_ends_soon(tmp_path: Path) -> None:
    async with served(tmp_path, f"[access]\nadmin_token = '{ADMIN}'\n") as here:
        async with Peer(None) as peer:
            await watch_demo(peer, here, ADMIN)
            os.kill(os.getpid(), signal.SIGTERM)
            assert here.task
            async with asyncio.timeout(5):
                await here.task
            await peer.until(lambda: peer.of_type("error"))
        (error,) = peer.of_type("error")
        assert (error["code"], error["message"]) == ("server-stopping", "the server is stopping")


async def test_systemd_is_told_how_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        monkeypatch.setenv("WATCHDOG_USEC", "300000")
        async with served(tmp_path) as here:
            here.reload("")
            await until_logged(caplog, "settings read again")
            await asyncio.sleep(0.4)
        told = []
        manager.setblocking(False)
        while True:
            try:
                told.append(manager.recv(4096).decode())
            except BlockingIOError:
                break
    assert "READY=1" in told[0]
    assert told.count("WATCHDOG=1") >= 2
    (reloading,) = [each for each in told if "RELOADING=1" in each]
    assert int(reloading.partition("MONOTONIC_USEC=")[2]) > 0
    assert "READY=1" in told[told.index(reloading) + 1 :]
    assert told[-1] == "STOPPING=1"


async def test_all_that_is_logged_of_a_request_and_its_session_can_be_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    level = logging.root.level
    log_to_stderr(LogSettings(format="json"), {ADMIN})
    async with served(tmp_path, f"[access]\nadmin_token = '{ADMIN}'\n") as here:
        url = f"http://127.0.0.1:{here.port}"
        async with ClientSession() as client:
            for token in (ADMIN, OTHER):
                async with client.post(f"{url}/login", json={"token": token}) as response:
                    identity = response.headers["X-Request-ID"]
            await client.get(f"{url}/api/me?token={ADMIN}")
            await client.get(f"{url}/{ADMIN}")
        async with Peer(None) as peer:
            await watch_demo(peer, here, ADMIN)
    logging.root.setLevel(level)

    said = capsys.readouterr()
    assert ADMIN not in said.err + said.out
    lines = [json.loads(line) for line in said.err.splitlines()]
    (refused,) = [line for line in lines if line.get("request") == identity]
    assert (refused["method"], refused["route"], refused["status"]) == ("POST", "/login", 401)
    assert refused["ms"] >= 0
    assert refused["address"] == "127.0.0.1"
    (offered,) = [line for line in lines if line.get("route") == "/offer"]
    (ended,) = [line for line in lines if "ended" in line["message"]]
    assert ended["request"] == offered["request"]
    assert ended["session"] in ended["message"]
