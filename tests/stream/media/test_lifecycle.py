"""A server with media processes from start to end: settings, log, stop, and a killed front."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import ClientSession
from aiortc import RTCSessionDescription

from tests.support.peer import Peer
from tests.support.servers.in_process_server import in_process_server
from tests.support.servers.media_server import until
from tests.support.servers.server_process import ROOT, SCRIPTED, ServerProcess

STREAM = "[stream]\ninterval_s = 0.25\n"
MEDIA = f"{STREAM}media_processes = 2\n"
YARD = "[feeds.yard]\nsource = 'demo'\ninterval_s = 0.25\n"


async def _watch_demo(peer: Peer, url: str) -> None:
    body = {"sdp": (await peer.offer()).sdp, "type": "offer", "source": "demo"}
    async with ClientSession() as client, client.post(f"{url}/offer", json=body) as response:
        answer = await response.json()
        assert response.status == 200, answer
    await peer.accept(RTCSessionDescription(answer["sdp"], answer["type"]))
    await peer.until(lambda: peer.frames and peer.received("caption"))


def _all_gone(processes: list[psutil.Process]) -> Callable[[], bool]:
    return lambda: (
        not any(
            process.is_running() and process.status() != psutil.STATUS_ZOMBIE
            for process in processes
        )
    )


@pytest.fixture
def temporary_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the temporary files of the servers that a test starts.

    Its path is short, as sockets need it.
    """
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_a_stop_tells_clients_and_leaves_nothing(temporary_folder: Path) -> None:
    async with ServerProcess.start(config=MEDIA, program=SCRIPTED, media_processes=2) as server:
        async with Peer(None) as peer:
            await _watch_demo(peer, server.url)
            processes = server.media_processes
            assert processes and _entries(temporary_folder)
            # As systemd and a terminal do, the signal reaches all of them.
            begun = time.monotonic()
            for pid in (server.pid, *(process.pid for process in processes)):
                os.kill(pid, signal.SIGTERM)
            await peer.until(lambda: peer.received("error"))
            assert peer.received("error")[0]["code"] == "server-stopping"
            assert await server.process.wait() == 0
            assert time.monotonic() - begun < 10
        assert _all_gone(processes)()
        assert "Traceback" not in server.log
    assert not _entries(temporary_folder)


async def test_media_processes_end_with_a_front_that_is_killed(temporary_folder: Path) -> None:
    config = f"{MEDIA}{YARD}"
    async with ServerProcess.start(config=config, program=SCRIPTED, media_processes=2) as server:
        async with Peer(None) as peer:
            await _watch_demo(peer, server.url)
            processes = server.media_processes
            os.kill(server.pid, signal.SIGKILL)
            await peer.until(lambda: peer.received("error"))
            assert peer.received("error")[0]["code"] == "server-stopping"
        await until(_all_gone(processes))
        await server.process.wait()
    assert not _entries(temporary_folder)


async def test_a_hung_media_process_does_not_hold_up_the_stop() -> None:
    async with ServerProcess.start(config=MEDIA, program=SCRIPTED, media_processes=2) as server:
        async with Peer(None) as peer:
            await _watch_demo(peer, server.url)
        processes = server.media_processes
        processes[0].suspend()
        begun = time.monotonic()
        os.kill(server.pid, signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await server.process.wait() == 0
        assert time.monotonic() - begun < 12
        assert _all_gone(processes)()


def test_a_process_whose_event_loop_hangs_ends_without_its_front() -> None:
    code = """if True:
        import socket, threading, time
        from stream.media import worker
        worker._LONGEST_STOP_S = 0.1
        ours, theirs = socket.socketpair()
        threading.Thread(target=worker._exit_without_front, args=(theirs,), daemon=True).start()
        time.sleep(0.5)
        print("running", flush=True)
        ours.close()
        time.sleep(60)
    """
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=40
    )
    assert (done.returncode, done.stdout) == (1, "running\n")


async def test_a_reload_reaches_media_processes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hall = "[feeds.hall]\nsource = 'demo'\ninterval_s = 0.25\n"
    async with in_process_server(tmp_path, MEDIA + YARD + hall) as server, ClientSession() as http:
        url = f"http://127.0.0.1:{server.port}"

        async def feeds() -> dict[str, Any]:
            async with http.get(f"{url}/api/feeds") as response:
                return {feed["name"]: feed for feed in (await response.json())["feeds"]}

        async def captioned(*names: str) -> bool:
            listed = await feeds()
            return set(names) == set(listed) and all(each["caption"] for each in listed.values())

        await until(lambda: captioned("yard", "hall"))
        seq = (await feeds())["yard"]["caption"]["seq"]
        titled = hall.replace("[feeds.hall]", "[feeds.hall]\ntitle = 'The hall'")
        server.reload(f"{MEDIA}{YARD}{titled}[log]\nlevel = 'debug'\n")
        await until(lambda: "settings reloaded; changed: feeds, log" in caplog.text)

        await until(lambda: captioned("yard", "hall"))
        listed = await feeds()
        assert listed["hall"]["title"] == "The hall"
        # The feed that did not change went on.
        assert listed["yard"]["caption"]["seq"] >= seq
        server.reload(f"{MEDIA}{YARD}")
        await until(lambda: captioned("yard"))


async def test_the_log_of_media_processes_is_the_servers(tmp_path: Path) -> None:
    config = f"{MEDIA}[log]\nformat = 'json'\n"
    async with ServerProcess.start(config=config, program=SCRIPTED, media_processes=2) as server:
        async with Peer(None) as peer:
            await _watch_demo(peer, server.url)

        def ended() -> bool:
            return "the connection was closed" in server.log

        await until(ended)
        lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if "the connection was closed" in line["message"]]
    assert (line["level"], line["logger"]) == ("info", "stream.webrtc.session")
    (offer,) = [line for line in lines if line["message"].startswith("POST /offer")]
    assert line["request"] == offer["request"]
    assert line["message"].split()[1] == line["session"]
    assert line["time"] > offer["time"]
