"""Sessions in media processes: placement, limits over all of them, and what the front shows."""

import socket
from contextlib import AsyncExitStack

import psutil
import pytest
from aiortc import RTCSessionDescription

from inference.captioning import FrameRequest, FrameResult
from stream.load import LoadLevel
from stream.media.slot import Slot
from tests.stream.data_channel.test_explanation_requests import check_all
from tests.support.captions import ScriptedCaptions
from tests.support.event_stream import read_named_event
from tests.support.peer import Peer
from tests.support.servers.media_server import DOG, HeldCaptions, MediaServer, serve_media, until

YARD = {"source": "demo", "title": "Back yard", "interval_s": 0.25}


class _RecordedCaptions(ScriptedCaptions):
    """Scripted captions that record what is asked for."""

    requests: list[FrameRequest]

    async def caption_frame(self, request: FrameRequest, beam_width: int | None) -> FrameResult:
        """Return the current caption."""
        self.requests.append(request)
        return await super().caption_frame(request, beam_width)


async def test_sessions_are_spread_over_processes_that_start_as_they_are_needed() -> None:
    captions = _RecordedCaptions(DOG)
    captions.requests = []
    async with serve_media(captions) as server, Peer(None) as first, Peer(None) as second:
        await server.until_running(1)
        one = await server.connect(first)
        await server.until_running(2)
        two = await server.connect(second)
        for peer in (first, second):
            await peer.until(lambda peer=peer: peer.received("caption") and len(peer.frames) > 5)  # type: ignore[misc]
        slots = [server.slot_of(session).number for session in (one, two)]
        shown = [peer.received("hello")[0]["stream"] for peer in (first, second)]
        seq = first.received("caption")[-1]["seq"]
        async with server.client.get(f"/streams/{one}/pictures/{seq}") as response:
            frame = await response.read()

        assert slots == [1, 2]
        # A pool's limit of the front is not replaced by one of the media process.
        assert {request.max_wait_s for request in captions.requests} == {None}
        assert captions.requests[-1].image.shape == (32, 32, 3)
        assert any(request.state for request in captions.requests)
        assert shown == [one, two]
        assert second.received("caption")[0]["text"] == DOG.text
        assert (response.status, frame[:2]) == (200, b"\xff\xd8")
        assert await server.metric("sessions") == 2
        assert await server.metric("streams") == 2
        assert await server.metric("captions_total") >= 2
        assert await server.metric("media_process_sessions") == 2
        await first.connection.close()
        await until(lambda: not server.media.running[0].sessions)
        assert (await server.get("/healthz"))["sessions"] == 1
    assert not [child for child in psutil.Process().children() if "media" in str(child.cmdline())]


async def test_viewers_of_a_feed_are_sent_to_the_process_that_has_it() -> None:
    feeds = {"yard": YARD, "hall": YARD}
    async with serve_media(feeds=feeds) as server, AsyncExitStack() as opened:
        await server.until_captioned("yard")
        await server.until_captioned("hall")
        viewers = [await opened.enter_async_context(Peer(None)) for _ in range(3)]
        watched = [
            await server.connect(viewer, "feed", feed=feed)
            for viewer, feed in zip(viewers, ("yard", "hall", "hall"), strict=True)
        ]
        for viewer in viewers:
            await viewer.until(lambda viewer=viewer: viewer.received("caption") and viewer.frames)  # type: ignore[misc]
        slots = [server.slot_of(session) for session in watched]

        assert [list(slot.feeds) for slot in slots] == [["yard"], ["hall"], ["hall"]]
        await until(lambda: _viewers(server, "hall", 2))
        assert await server.metric("feed_viewers") == 3
        async with server.client.get("/api/feeds/hall/picture") as response:
            assert (await response.read())[:2] == b"\xff\xd8"


async def _signal(server: MediaServer, feed: str, state: str) -> bool:
    return bool((await server.get(f"/api/feeds/{feed}"))["signal"]["state"] == state)


async def _viewers(server: MediaServer, feed: str, count: int) -> bool:
    return bool((await server.get(f"/api/feeds/{feed}"))["viewers"] == count)


async def test_readers_at_the_front_get_captions_and_make_a_feed_run() -> None:
    async with serve_media(feeds={"yard": {**YARD, "run": "watched"}}) as server:
        listed = await server.get("/api/feeds/yard")
        assert (listed["signal"]["state"], listed["title"]) == ("connecting", "Back yard")
        await until(lambda: _signal(server, "yard", "idle"))
        async with server.client.get("/api/feeds/yard/events") as response:
            event = await read_named_event(response, "caption")
            assert (await server.get("/api/feeds/yard"))["viewers"] == 1
        assert event["data"]["text"] == DOG.text
        await until(lambda: _viewers(server, "yard", 0))


async def test_limits_hold_over_all_processes() -> None:
    limits = {"sessions": 2, "viewers": 1, "analyses": 1}
    async with serve_media(stream=limits, feeds={"yard": YARD}) as server:
        await server.until_captioned("yard")
        await server.until_running(2)
        async with AsyncExitStack() as opened:
            peers = [await opened.enter_async_context(Peer(None)) for _ in range(5)]
            for peer in peers[:2]:
                await server.connect(peer)
            await server.connect(peers[2], "feed", feed="yard")
            assert len({slot.number for slot in server.media.running if slot.sessions}) == 2
            for source, values in (("demo", {}), ("feed", {"feed": "yard"})):
                response = await server.offer(peers[3], source, **values)
                assert (response.status, (await response.json())["error"]["code"]) == (
                    503,
                    "server-full",
                )
            response = await server.offer(peers[4], "feed", feed="attic")
            assert response.status == 404
        await until(lambda: not len(server.media.sessions))
        async with Peer(None) as peer:
            await server.connect(peer)


async def test_sessions_avoid_overloaded_processes_and_are_refused_if_all_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    levels = {1: LoadLevel.NO_NEW_SESSIONS, 2: LoadLevel.NORMAL}
    async with serve_media(feeds={"yard": YARD}) as server, AsyncExitStack() as opened:
        await server.until_captioned("yard")
        await server.until_running(2)
        monkeypatch.setattr(Slot, "level", property(lambda slot: levels[slot.number]))
        peers = [await opened.enter_async_context(Peer(None)) for _ in range(4)]
        for peer in peers[:2]:
            assert server.slot_of(await server.connect(peer)).number == 2
        accepting = [server.media.accepting_level]
        # The feed's process is overloaded.
        assert (await server.offer(peers[2], "feed", feed="yard")).status == 503
        levels[2] = LoadLevel.NO_NEW_SESSIONS
        response = await server.offer(peers[3])
        assert (response.status, (await response.json())["error"]["code"]) == (503, "server-full")
        accepting.append(server.media.accepting_level)
        assert accepting == [LoadLevel.NORMAL, LoadLevel.NO_NEW_SESSIONS]
        assert await server.metric("media_process_load_level") == 2 * LoadLevel.NO_NEW_SESSIONS


async def test_processes_share_a_range_of_udp_ports() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        first = min(free.getsockname()[1], 65_000)
    ports = range(first, first + 12)
    ice = {"ports": f"{ports.start}-{ports.stop - 1}"}
    async with serve_media(ice=ice) as server, Peer(None) as one, Peer(None) as two:
        used: list[int] = []
        for peer in (one, two):
            await server.until_running(1 + len(used))
            await server.connect(peer)
            await peer.until(lambda peer=peer: peer.frames)  # type: ignore[misc]
            transport = peer.connection.getTransceivers()[0].receiver.transport.transport
            (pair,) = transport._connection._nominated.values()
            used.append(pair.remote_addr[1])
        assert [len(slot.sessions) for slot in server.media.running] == [1, 1]

        assert len(set(used)) == 2
        assert set(used) <= set(ports)


async def test_two_processes_cannot_publish_the_same_name() -> None:
    async with serve_media(feeds={"yard": YARD}) as server, AsyncExitStack() as opened:
        await server.until_captioned("yard")
        await server.until_running(2)
        owners = [await opened.enter_async_context(Peer(None)) for _ in range(3)]
        for owner in owners:
            owner.connection.getTransceivers()[0].direction = "sendrecv"
        await server.connect(owners[0], "peer", publish="phone")
        assert [len(slot.sessions) for slot in server.media.running] == [0, 1]
        await owners[0].until(lambda: owners[0].received("hello"))
        for owner, name in zip(owners[1:], ("phone", "yard"), strict=True):
            response = await server.offer(owner, "peer", publish=name)
            assert (response.status, (await response.json())["error"]["code"]) == (
                409,
                "name-taken",
            )
        await owners[0].connection.close()
        await until(lambda: len(server.media.sessions) == 0)
        assert [feed["name"] for feed in (await server.get("/api/feeds"))["feeds"]] == ["yard"]


async def test_whip_and_whep_sessions_are_ended_by_their_url() -> None:
    async with serve_media(feeds={"yard": YARD}) as server, Peer(None, channel=False) as player:
        await server.until_captioned("yard")
        offer = await player.offer()
        headers = {"Content-Type": "application/sdp"}
        async with server.client.post("/whep/yard", data=offer.sdp, headers=headers) as response:
            assert response.status == 201, await response.text()
            await player.accept(RTCSessionDescription(await response.text(), "answer"))
            location, etag = response.headers["Location"], response.headers["ETag"]
        await player.until(lambda: len(player.frames) > 5)
        credentials = "\r\n".join(
            line for line in offer.sdp.splitlines() if line.startswith(("a=ice-ufrag", "a=ice-pwd"))
        )
        trickled = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": etag}
        patched = await server.client.patch(location, data=credentials, headers=trickled)
        other = credentials.replace("ice-pwd:", "ice-pwd:x")
        restarted = await server.client.patch(location, data=other, headers=trickled)
        ended = await server.client.delete(location)
        gone = await server.client.delete(location)

        statuses = [each.status for each in (patched, restarted, ended, gone)]
        assert statuses == [204, 422, 200, 404]
        await until(lambda: not len(server.media.sessions))


async def _freeze(peer: Peer) -> int:
    """Freeze the next caption's frame; return its number."""
    count, frozen = len(peer.received("caption")), len(peer.received("frozen"))
    await peer.until(lambda: len(peer.received("caption")) > count)
    seq = int(peer.received("caption")[-1]["seq"])
    peer.send({"type": "freeze", "seq": seq})
    await peer.until(lambda: len(peer.received("frozen")) > frozen)
    return seq


async def test_explanations_and_analyses_are_limited_over_all_processes() -> None:
    captions = HeldCaptions(DOG)
    captions.finish_analyses.clear()
    # Long, so that a frame is still kept when a busy machine freezes it.
    limits = {"analyses": 1, "interval_s": 1.0}
    async with serve_media(captions, stream=limits) as server, AsyncExitStack() as opened:
        peers = []
        for _ in range(5):
            peer = await opened.enter_async_context(Peer(None))
            await server.connect(peer)
            await server.until_running(2)
            await peer.until(lambda peer=peer: peer.received("caption"))  # type: ignore[misc]
            peers.append(peer)
        for peer in peers:
            seq = await _freeze(peer)
            for number in range(4):
                request = {"id": number, "seq": seq, "method": "gradcam"}
                peer.send({"type": "explain", "of": {"kind": "caption"}, **request})
            if peer is not peers[-1]:
                used = 4 * (peers.index(peer) + 1)
                await until(lambda used=used: len(server.limits.explanations) == used)
        refused = peers[-1]
        await refused.until(lambda: len(refused.received("error")) == 4)
        assert {error["code"] for error in refused.received("error")} == {"busy"}
        check_all(refused)
        # Cancelled requests make room.
        for number in range(4):
            peers[0].send({"type": "cancel", "id": number})
        await until(lambda: len(server.limits.explanations) == 12)

        one, two = peers[0], peers[1]
        for peer in (one, two):
            seq = await _freeze(peer)
            analyze = {"type": "analyze", "kind": "adversarial", "params": {}}
            peer.send({**analyze, "id": 9, "seq": seq})
            await peer.until(lambda peer=peer: peer.received("progress") or peer.received("error"))  # type: ignore[misc]
        await two.until(lambda: two.received("error"))
        assert "1 analyses are already running" in two.received("error")[-1]["message"]
        await until(lambda: server.media.report.analyses == 1)
        path = one.received("progress")[-1]["analysis"]
        assert (await server.get(path))["state"] == "running"
        captions.finish_analyses.set()
        await one.until(lambda: one.received("result"))
        async with server.client.get(f"{path}/report.html") as response:
            assert b"A report" in await response.read()
        assert (await server.client.get(f"{path}/concept-x.webp")).status == 404
        assert (await server.client.delete(path)).status == 204
        assert (await server.client.get(path)).status == 404
    assert not len(server.limits.explanations)
