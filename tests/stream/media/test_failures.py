"""Media processes that die, hang or cannot start, and what is back by itself."""

import asyncio
import logging
import os
import signal
import time
from contextlib import AsyncExitStack

import pytest

from stream.feeds import FeedSettings
from stream.media import process as process_module
from tests.support.event_stream import read_named_event
from tests.support.peer import Peer
from tests.support.servers.media_server import DOG, HeldCaptions, MediaServer, serve_media, until

YARD = {"source": "demo", "title": "Back yard", "interval_s": 0.25}
BACK_S = 10
"""A killed process is replaced within two seconds; on a busy machine it takes longer."""


def _pid(server: MediaServer, number: int) -> int:
    process = server.media._slots[number - 1].process
    assert process
    return process.pid


async def test_a_killed_process_takes_only_its_own_sessions_and_its_feeds_come_back() -> None:
    async with serve_media(feeds={"yard": YARD}) as server, AsyncExitStack() as opened:
        await server.until_captioned("yard")
        await server.until_running(2)
        viewer, kept, other, lost = [await opened.enter_async_context(Peer(None)) for _ in range(4)]
        await server.connect(viewer, "feed", feed="yard")
        on_kept = await server.connect(kept)
        await server.connect(other)
        await server.connect(lost)
        sessions = {slot.number: len(slot.sessions) for slot in server.media.running}
        assert sessions == {1: 2, 2: 2}
        for peer in (viewer, kept, other, lost):
            await peer.until(lambda peer=peer: peer.received("caption"))  # type: ignore[misc]
        async with server.client.get("/api/feeds/yard/events") as events:
            await read_named_event(events, "caption")
            totals = [await server.metric(f"{name}_total") for name in ("captions", "frames_drawn")]
            killed_at, pid = time.time(), _pid(server, 1)
            os.kill(pid, signal.SIGKILL)

            async with asyncio.timeout(BACK_S):
                signals = [await read_named_event(events, "signal") for _ in range(2)]
                while (await read_named_event(events, "caption"))["data"]["frame"][
                    "time"
                ] < killed_at:
                    pass
        assert signals[0]["data"]["signal"]["state"] == "lost"
        assert len(server.media.sessions) == 2
        assert server.slot_of(on_kept).number == 2
        captioned = len(kept.received("caption"))
        await kept.until(lambda: len(kept.received("caption")) > captioned + 2)
        assert not kept.received("error")
        listed = await server.until_captioned("yard", killed_at)
        assert listed["signal"]["state"] == "live"
        assert _pid(server, 1) != pid
        for name, before in zip(("captions", "frames_drawn"), totals, strict=True):
            assert await server.metric(f"{name}_total") >= before
        assert await server.metric("media_process_restarts_total") == 1
        # Clients reconnect, also to the feed.
        await server.connect(again := await opened.enter_async_context(Peer(None)))
        await server.connect(
            watch := await opened.enter_async_context(Peer(None)), "feed", feed="yard"
        )
        for peer in (again, watch):
            await peer.until(lambda peer=peer: peer.received("caption") and peer.frames)  # type: ignore[misc]


async def test_a_feed_that_is_removed_while_its_process_is_down_is_gone() -> None:
    async with serve_media(feeds={"yard": YARD}) as server:
        await server.until_captioned("yard")
        os.kill(_pid(server, 1), signal.SIGKILL)
        await until(lambda: _pid_or_none(server) is None)
        assert (await server.get("/api/feeds/yard"))["signal"]["state"] == "lost"
        await server.media.feeds.reload({})
        assert (await server.client.get("/api/feeds/yard")).status == 404
        await server.until_running(1)
        assert not server.media.report.live_streams


async def test_a_viewer_of_a_feed_whose_process_was_killed_waits_for_the_next() -> None:
    async with serve_media(feeds={"yard": YARD}) as server, Peer(None) as peer:
        await server.until_captioned("yard")
        os.kill(_pid(server, 1), signal.SIGKILL)
        await until(lambda: _pid_or_none(server) is None)
        async with server.client.get("/api/feeds/yard/picture") as response:
            assert response.status == 404
        await server.connect(peer, "feed", feed="yard")
        await peer.until(lambda: peer.received("caption") and peer.frames)


def _pid_or_none(server: MediaServer) -> int | None:
    process = server.media._slots[0].process
    return process.pid if process else None


async def test_a_process_that_hangs_is_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process_module, "_SILENT_REPORTS", 2)
    captions = HeldCaptions(DOG)
    async with serve_media(captions) as server, Peer(None) as peer, Peer(None) as other:
        await server.until_running(1)
        await server.connect(peer)
        await peer.until(lambda: peer.received("caption"))
        request = {"seq": peer.received("caption")[-1]["seq"], "method": "gradcam"}
        peer.send({"type": "explain", "id": 1, "of": {"kind": "caption"}, **request})
        await until(lambda: len(server.limits.explanations) == 1)
        pid = _pid(server, 1)
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: not len(server.media.sessions))
        await until(lambda: _pid_or_none(server) not in (None, pid))
        assert "media process 1: it hung and was ended" in caplog.text
        assert not len(server.limits.explanations)
        await server.connect(other)
        await other.until(lambda: other.received("caption"))


async def test_a_process_that_cannot_start_is_tried_again_and_clients_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("stream.media.front._READY_S", 0.5)
    monkeypatch.setattr("stream.media.remote_streams._START_S", 0.5)
    caplog.set_level(logging.WARNING)
    with monkeypatch.context() as broken:
        broken.setattr(process_module, "_PROGRAM", ("-c", "raise SystemExit(3)"))
        async with serve_media(feeds={"yard": YARD}) as server, Peer(None) as peer:
            for source, values in (("demo", {}), ("feed", {"feed": "yard"})):
                response = await server.offer(peer, source, **values)
                error = (await response.json())["error"]
                assert (response.status, error["code"]) == (503, "server-full")
                assert "being started" in error["message"]
            await until(lambda: "it exited with status 3; starting another" in caplog.text)
            assert (await server.get("/api/feeds/yard"))["signal"]["state"] == "connecting"
            broken.undo()
            monkeypatch.setattr("stream.media.front._READY_S", 30)
            await server.until_captioned("yard")


async def test_feeds_of_a_process_that_never_started_move_to_one_that_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serve_media() as server:
        await server.until_running(1)
        monkeypatch.setattr(process_module, "_PROGRAM", ("-c", "raise SystemExit(3)"))
        settings = {name: FeedSettings.model_validate(YARD) for name in ("hall", "yard")}
        await server.media.feeds.reload(settings)
        for name in settings:
            assert (await server.until_captioned(name))["caption"]["text"] == DOG.text
        assert set(server.media._slots[0].feeds) == {"hall", "yard"}
