"""The server's life cycle: reload, signals, systemd notifications, request logs and shutdown."""

import asyncio
import json
import logging
import os
import re
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from aiortc import RTCSessionDescription

from stream.feeds import Feeds
from tests.support.peer import Peer
from tests.support.servers.in_process_server import InProcessServer, in_process_server
from web.service import reload
from web.service.log import log_to_stderr
from web.service.serving import ListenError
from web.settings.sections import LogSettings

ADMIN = "a" * 20
OTHER = "b" * 20


async def until_logged(caplog: pytest.LogCaptureFixture, text: str) -> None:
    async with asyncio.timeout(10):
        while text not in caplog.text:
            await asyncio.sleep(0.02)


async def watch_demo(peer: Peer, server: InProcessServer, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    body = {"sdp": (await peer.offer()).sdp, "type": "offer", "source": "demo"}
    async with (
        ClientSession(f"http://127.0.0.1:{server.port}", headers=headers) as client,
        client.post("/offer", json=body) as response,
    ):
        answer = await response.json()
    await peer.accept(RTCSessionDescription(answer["sdp"], answer["type"]))
    await peer.until(lambda: peer.frames and peer.received("hello"))


async def role_of(server: InProcessServer, token: str) -> object:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        ClientSession(headers=headers) as client,
        client.get(f"http://127.0.0.1:{server.port}/api/me") as response,
    ):
        return (await response.json())["role"]


async def rules_of(server: InProcessServer) -> dict[str, float]:
    async with (
        ClientSession() as client,
        client.get(f"http://127.0.0.1:{server.port}/api/rules") as response,
    ):
        rules = (await response.json())["rules"]
        return {rule["name"]: rule["settings"]["present_s"] for rule in rules}


async def test_a_reload_keeps_sessions(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    text = f"[access]\nadmin_token = '{ADMIN}'\n"
    async with in_process_server(tmp_path, text) as server, Peer(None) as peer:
        await watch_demo(peer, server, ADMIN)

        server.reload(f"[access]\nadmin_token = '{OTHER}'\n[stream]\nsesions = 3\n")
        await until_logged(caplog, "line 5: setting 'stream.sesions'")
        assert "settings not reloaded" in caplog.text
        assert "did you mean 'sessions'" in caplog.text
        assert await role_of(server, ADMIN) == "admin"

        server.reload(f"[access]\nadmin_token = '{OTHER}'\n[stream]\nsessions = 3\n")
        await until_logged(caplog, "need a restart: stream")
        assert await role_of(server, ADMIN) is None
        assert await role_of(server, OTHER) == "admin"
        seen = len(peer.frames)
        await peer.until(lambda: len(peer.frames) > seen + 5)
        assert not peer.received("error")


async def test_a_reload_changes_rules_of_the_configuration_and_edited_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    # Of the states of the rules.
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    dogs = "[rules.dogs]\nany = ['dog']\n"
    async with in_process_server(tmp_path, dogs) as server:
        (tmp_path / "rules.toml").write_text("[rules.cats]\nany = ['cat']\n")
        server.reload(dogs + "present_s = 5\n")
        await until_logged(caplog, "changed: rules")
        assert await rules_of(server) == {"cats": 2.0, "dogs": 5.0}
        caplog.clear()
        (tmp_path / "rules.toml").write_text("[rules.cats]\nany = []\n")
        server.reload("")
        await until_logged(caplog, "rules.toml: setting 'rules.cats'")
        assert await rules_of(server) == {"cats": 2.0, "dogs": 5.0}


async def test_a_reload_that_would_expose_the_server_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hosts = "[access]\nhosts = ['camera.example']\n"
    async with in_process_server(tmp_path, f"{hosts}admin_token = '{ADMIN}'\n") as server:
        server.reload(hosts)
        await until_logged(caplog, "other machines can reach the server")
        assert await role_of(server, OTHER) is None
        assert await role_of(server, ADMIN) == "admin"


async def test_a_reload_without_the_address_does_not_expose_the_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # The server keeps its address until a restart.
    text = f"host = '0.0.0.0'\n[access]\nadmin_token = '{ADMIN}'\n"
    async with in_process_server(tmp_path, text) as server:
        for changed in ("", "host = '127.0.0.1'\n"):
            caplog.clear()
            server.reload(changed)
            await until_logged(caplog, "other machines can reach the server on 0.0.0.0")
            assert "settings not reloaded" in caplog.text
            assert await role_of(server, OTHER) is None
            assert await role_of(server, ADMIN) == "admin"


async def test_a_reload_with_another_address_keeps_the_names_of_the_running_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tokens = f"[access]\nadmin_token = '{ADMIN}'\n"
    async with in_process_server(tmp_path, f"host = '0.0.0.0'\n{tokens}") as server:
        server.reload(f"{tokens}login_s = 60\n")
        await until_logged(caplog, "settings reloaded; changed: access")
        assert "these settings need a restart: host" in caplog.text
        async with (
            ClientSession() as client,
            client.get(
                f"http://127.0.0.1:{server.port}/healthz", headers={"Host": "192.0.2.1"}
            ) as response,
        ):
            assert response.status == 200


async def test_after_any_mistake_the_settings_stay_and_the_next_reload_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(tmp_path / "pipe")
    nested = f"feeds = {'[' * 5000}{']' * 5000}"
    text = f"[access]\nadmin_token = '{ADMIN}'\n"
    async with in_process_server(tmp_path, text) as server:
        for mistake, message in (
            (
                "[access]\nadmin_token_file = '~nosuchuser/x'",
                "'access.admin_token_file': there is no",
            ),
            (f"[access]\nadmin_token_file = '{OTHER}'", "'access.admin_token_file': there is no"),
            (
                f"[access]\nadmin_token_file = '{tmp_path}/pipe'",
                "it is a pipe into which no program",
            ),
            (f"[access]\nadmin_token_file = '{tmp_path}'", "it is a folder, not a file"),
            (f"{nested}\n{text}", "nested too deeply"),
            (f"captioner = '~nosuchuser/x'\n{text}", "the home folder of ~nosuchuser is unknown"),
        ):
            caplog.clear()
            server.reload(mistake)
            await until_logged(caplog, message)
            assert "settings not reloaded" in caplog.text
            assert OTHER not in caplog.text
            assert await role_of(server, ADMIN) == "admin"

        server.reload(f"[access]\nadmin_token = '{OTHER}'\n")
        async with asyncio.timeout(10):
            while await role_of(server, OTHER) != "admin":
                await asyncio.sleep(0.02)


async def test_an_unforeseen_failure_of_a_reload_restores_the_settings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError(OTHER)

    text = f"[access]\nadmin_token = '{ADMIN}'\n"
    changed = f"[access]\nadmin_token = '{OTHER}'\n[limits]\nsessions = 3\n"
    async with in_process_server(tmp_path, text) as server:
        with monkeypatch.context() as patch:
            patch.setattr(reload, "check_exposure", fail)
            server.reload(changed)
            await until_logged(caplog, "unexpected ZeroDivisionError in test_serving.py")
        caplog.clear()
        with monkeypatch.context() as patch:
            patch.setattr(Feeds, "reload", fail)
            server.reload(f"{changed}[feeds.yard]\nsource = 'demo'\n")
            await until_logged(caplog, "unexpected ZeroDivisionError in test_serving.py")
            assert await role_of(server, ADMIN) == "admin"
        assert OTHER not in caplog.text

        server.reload(changed)
        async with asyncio.timeout(10):
            while await role_of(server, OTHER) != "admin":
                await asyncio.sleep(0.02)


async def test_a_secret_file_that_never_ends_does_not_delay_the_stop(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    async with in_process_server(tmp_path) as server:
        # A writer that is silent: for the reader, the file has not ended.
        writer = os.open(pipe, os.O_RDWR)
        server.reload(f"[access]\nadmin_token_file = '{pipe}'\n")
        async with asyncio.timeout(10):
            while not any(thread.name == "settings" for thread in threading.enumerate()):
                await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        assert server.task
        async with asyncio.timeout(5):
            await server.task
        os.close(writer)


async def test_a_server_on_every_address_answers_where_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "host = '::'\n[access]\nopen = true\n[limits]\nproxies = ['127.0.0.0/8']\n"
    async with in_process_server(tmp_path, text) as server, ClientSession() as client:
        first, *_ = re.findall(r"http://\S+", capsys.readouterr().out)
        assert first == f"http://127.0.0.1:{server.port}"
        for host in ("127.0.0.1", "[::1]"):
            headers = {"X-Request-ID": "0123456789abcdef"}
            url = f"http://{host}:{server.port}/api/me"
            async with client.get(url, headers=headers) as response:
                assert response.status == 200
                # Only a trusted proxy's id is returned.
                is_proxy = response.headers["X-Request-ID"] == headers["X-Request-ID"]
                assert is_proxy == (host == "127.0.0.1")


async def test_an_address_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    for host in ("192.0.2.1", "2001:db8::1"):
        with pytest.raises(ListenError, match=f"{host} is not an address of this machine"):
            async with in_process_server(tmp_path, f"host = '{host}'\n[access]\nopen = true\n"):
                pass


async def test_a_reload_adds_and_removes_feeds_and_keeps_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    kept = "[feeds.kept]\nsource = 'demo'\n"
    async with in_process_server(tmp_path, f"{kept}[feeds.removed]\nsource = 'demo'\n") as server:
        before = await feeds(server)
        assert set(before) == {"kept", "removed"}
        server.reload(f"{kept}[feeds.added]\nsource = 'demo'\n")
        await until_logged(caplog, "changed: feeds")
        after = await feeds(server)
        assert set(after) == {"kept", "added"}
        assert after["kept"]["signal"]["since"] == before["kept"]["signal"]["since"]


async def feeds(server: InProcessServer) -> dict[str, Any]:
    """The feeds, once they are all live."""
    async with ClientSession(f"http://127.0.0.1:{server.port}") as client, asyncio.timeout(10):
        while True:
            async with client.get("/api/feeds") as response:
                found = {feed["name"]: feed for feed in (await response.json())["feeds"]}
            if all(feed["signal"]["state"] == "live" for feed in found.values()) and found:
                return found
            await asyncio.sleep(0.05)


async def test_on_sigterm_clients_get_an_error_and_the_server_stops(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, f"[access]\nadmin_token = '{ADMIN}'\n") as server:
        async with Peer(None) as peer:
            await watch_demo(peer, server, ADMIN)
            os.kill(os.getpid(), signal.SIGTERM)
            assert server.task
            async with asyncio.timeout(5):
                await server.task
            await peer.until(lambda: peer.received("error"))
        (error,) = peer.received("error")
        assert (error["code"], error["message"]) == ("server-stopping", "the server is stopping")


async def test_systemd_is_notified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        monkeypatch.setenv("WATCHDOG_USEC", "300000")
        async with in_process_server(tmp_path) as server:
            server.reload("")
            await until_logged(caplog, "settings reloaded")
            await asyncio.sleep(0.4)
        received = []
        manager.setblocking(False)
        while True:
            try:
                received.append(manager.recv(4096).decode())
            except BlockingIOError:
                break
    assert "READY=1" in received[0]
    assert received.count("WATCHDOG=1") >= 2
    (reloading,) = [each for each in received if "RELOADING=1" in each]
    assert int(reloading.partition("MONOTONIC_USEC=")[2]) > 0
    assert "READY=1" in received[received.index(reloading) + 1 :]
    assert received[-1] == "STOPPING=1"


async def test_log_lines_of_a_request_and_its_session_share_an_id(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    level = logging.root.level
    log_to_stderr(LogSettings(format="json"), {ADMIN})
    async with in_process_server(tmp_path, f"[access]\nadmin_token = '{ADMIN}'\n") as server:
        url = f"http://127.0.0.1:{server.port}"
        async with ClientSession() as client:
            for token in (ADMIN, OTHER):
                async with client.post(f"{url}/login", json={"token": token}) as response:
                    request_id = response.headers["X-Request-ID"]
            await client.get(f"{url}/api/me?token={ADMIN}")
            await client.get(f"{url}/{ADMIN}")
        async with Peer(None) as peer:
            await watch_demo(peer, server, ADMIN)
    logging.root.setLevel(level)

    output = capsys.readouterr()
    assert ADMIN not in output.err + output.out
    lines = [json.loads(line) for line in output.err.splitlines()]
    (refused,) = [line for line in lines if line.get("request") == request_id]
    assert (refused["method"], refused["route"], refused["status"]) == ("POST", "/login", 401)
    assert refused["ms"] >= 0
    assert refused["address"] == "127.0.0.1"
    (offered,) = [line for line in lines if line.get("route") == "/offer"]
    (ended,) = [line for line in lines if "ended" in line["message"]]
    assert ended["request"] == offered["request"]
    assert ended["session"] in ended["message"]
