"""Sessions between two real peers in one process, over real codecs on the loopback."""

import asyncio
import gc
import json
import os
import signal
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
from aiortc import RTCSessionDescription
from jsonschema import Draft202012Validator

from inference.captioning.caption import Caption
from inference.engine.engine import Engine
from stream.data_channel.messages import SCHEMA_PATH
from stream.video.frame import planes
from stream.webrtc.offer import Offer, OfferError
from stream.webrtc.sessions import ServerFull, Sessions
from tests.support.captions import ScriptedCaptions, objects_only, sure
from tests.support.live import serving
from tests.support.peer import Peer

SCHEMA = json.loads(SCHEMA_PATH.read_text())
SERVER_MESSAGE = Draft202012Validator({"$ref": "#/$defs/server", "$defs": SCHEMA["$defs"]})


async def connect(sessions: Sessions, peer: Peer, source: str = "peer") -> str:
    body = {"sdp": (await peer.offer()).sdp, "type": "offer", "source": source}
    stream, answer = await sessions.accept(Offer.read(body, 65_536))
    await peer.accept(answer)
    return stream


async def until_empty(sessions: Sessions, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while len(sessions):
            await asyncio.sleep(0.02)


async def test_footage_goes_in_and_captioned_video_and_captions_come_back(
    engine: Engine, footage: Path
) -> None:
    async with serving(engine, interval_s=0.25) as sessions, Peer(footage) as peer:
        stream = await connect(sessions, peer)
        await peer.until(lambda: len(peer.of_type("caption")) >= 3 and len(peer.pictures) > 40)

        for message in peer.messages:
            SERVER_MESSAGE.validate(message)
        hello = peer.messages[0]
        assert (hello["type"], hello["stream"]) == ("hello", stream)
        assert hello["model"]["vocabulary_size"] > 1000
        captions = peer.of_type("caption")
        assert [caption["seq"] for caption in captions] == list(range(len(captions)))
        assert (captions[0]["frame"]["width"], captions[0]["frame"]["height"]) == (640, 272)
        assert captions[0]["age_ms"] >= captions[0]["timing_ms"]["encoder"]
        times = [caption["frame"]["time"] for caption in captions]
        assert times == sorted(set(times))
        picture = peer.pictures[-1]
        assert (picture.width, picture.height) == (640, 272)


async def test_the_caption_is_drawn_into_the_returned_video(engine: Engine) -> None:
    async with serving(engine, interval_s=0.25) as sessions, Peer(None) as peer:
        await connect(sessions, peer, "demo")
        await peer.until(lambda: peer.of_type("caption"))
        seen = len(peer.pictures)
        await peer.until(lambda: len(peer.pictures) > seen + 5)

        luma = peer.pictures[-1].to_ndarray(format="gray")
        band = luma[-24:-8]
        # White type on a dark band: both at once, and hardly anything between.
        assert np.percentile(band, 99.5) > 180
        assert np.median(band) < 110


@pytest.mark.parametrize(
    ("caption", "admits"),
    [(sure("A man"), False), (objects_only("A man on a horse", horse=0.9), True)],
)
async def test_a_doubtful_caption_looks_doubtful_in_the_returned_video(
    footage: Path, caption: Caption, admits: bool
) -> None:
    captions = ScriptedCaptions(caption)
    async with serving(captions, interval_s=0.25) as sessions, Peer(footage) as peer:
        await connect(sessions, peer)
        await peer.until(lambda: peer.of_type("caption"))
        seen = len(peer.pictures)
        await peer.until(lambda: len(peer.pictures) > seen + 10)

        _, u, v = planes(peer.pictures[-1])
        band = slice(-len(u) // 4, None)
        amber = (u[band] < 90) & (v[band] > 140)
        assert (amber.sum() > 15) == admits


async def test_a_session_is_configured_while_it_runs(engine: Engine) -> None:
    async with serving(engine, interval_s=10) as sessions, Peer(None) as peer:
        await connect(sessions, peer, "demo")
        await peer.until(lambda: peer.of_type("caption"))
        peer.send({"type": "configure", "interval_s": 0.25, "beam_width": 1})
        await peer.until(lambda: len(peer.of_type("caption")) >= 4)

        assert peer.of_type("stats")[-1]["settings"] == {
            "interval_s": 0.25,
            "beam_width": 1,
            "overlay": "none",
            "explanations": "all",
        }


async def test_a_ping_is_answered_and_nonsense_is_told(engine: Engine) -> None:
    async with serving(engine) as sessions, Peer(None) as peer:
        await connect(sessions, peer, "demo")
        await peer.until(lambda: peer.of_type("hello"))
        peer.send({"type": "ping", "id": 7})
        peer.send("{")
        peer.send("x" * 5000)
        await peer.until(lambda: peer.of_type("pong") and len(peer.of_type("error")) == 2)

        assert peer.of_type("pong") == [{"type": "pong", "id": 7}]
        assert [error["code"] for error in peer.of_type("error")] == ["bad-json", "too-large"]


async def test_a_flood_is_answered_sparingly_and_the_session_goes_on(engine: Engine) -> None:
    async with serving(engine, messages_per_s=5) as sessions, Peer(None) as peer:
        await connect(sessions, peer, "demo")
        await peer.until(lambda: peer.of_type("hello"))
        for number in range(300):
            peer.send({"type": "ping", "id": number})
        seen = len(peer.of_type("stats"))
        await peer.until(lambda: len(peer.of_type("stats")) > seen + 1)

        assert 0 < len(peer.of_type("pong")) < 40
        errors = peer.of_type("error")
        assert {error["code"] for error in errors} == {"too-fast"}
        assert len(errors) < 10


async def test_other_channels_are_closed(engine: Engine) -> None:
    async with serving(engine) as sessions, Peer(None) as peer:
        other = peer.connection.createDataChannel("something else")
        await connect(sessions, peer, "demo")
        await peer.until(lambda: other.readyState == "closed")
        await peer.until(lambda: peer.of_type("stats"))


async def test_captions_pause_with_the_engine_and_come_back_while_the_video_goes_on(
    mortal_engine: Engine, footage: Path
) -> None:
    async with serving(mortal_engine, interval_s=0.25) as sessions, Peer(footage) as peer:
        await connect(sessions, peer)
        await peer.until(lambda: peer.of_type("caption"))
        assert mortal_engine.pid
        # However slow the captioner is: here it says nothing at all.
        os.kill(mortal_engine.pid, signal.SIGSTOP)
        pictures = len(peer.pictures)
        await peer.until(lambda: len(peer.pictures) > pictures + 40)
        os.kill(mortal_engine.pid, signal.SIGKILL)
        await peer.until(lambda: peer.of_type("stats")[-1]["captioner"]["state"] == "paused")
        assert peer.of_type("stats")[-1]["captioner"]["message"]
        pictures, captions = len(peer.pictures), len(peer.of_type("caption"))
        await peer.until(lambda: len(peer.of_type("caption")) > captions, 40)

        assert len(peer.pictures) > pictures + 20
        assert peer.of_type("stats")[-1]["captioner"] == {"state": "ready", "message": ""}


async def test_more_sessions_than_may_be_are_refused_until_one_ends(engine: Engine) -> None:
    async with serving(engine, sessions=1) as sessions, Peer(None) as second:
        async with Peer(None) as first:
            await connect(sessions, first, "demo")
            with pytest.raises(ServerFull):
                await connect(sessions, second, "demo")
            await first.until(lambda: first.of_type("hello"))
        await until_empty(sessions)
    async with serving(engine, sessions=1) as sessions, Peer(None) as third:
        await connect(sessions, third, "demo")


async def test_a_peer_that_hangs_up_is_gone_at_once(engine: Engine, footage: Path) -> None:
    async with serving(engine) as sessions:
        async with Peer(footage) as peer:
            await connect(sessions, peer)
            await peer.until(lambda: peer.pictures)
        await until_empty(sessions, 3)


async def test_a_peer_that_vanishes_is_noticed_and_freed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(engine, vanished_s=2) as sessions, Peer(None) as peer:
        await connect(sessions, peer, "demo")
        await peer.until(lambda: peer.pictures)
        # As when its machine loses power: its sockets say nothing any more.
        transport = peer.connection.getReceivers()[0].transport.transport
        for protocol in transport._connection._protocols:
            monkeypatch.setattr(protocol.transport, "sendto", lambda *_: None)
        await until_empty(sessions)


async def test_a_peer_that_never_connects_is_freed(engine: Engine) -> None:
    async with serving(engine, connect_s=1) as sessions, Peer(None) as peer:
        body = {"sdp": (await peer.offer()).sdp, "type": "offer", "source": "demo"}
        await sessions.accept(Offer.read(body, 65_536))
        assert len(sessions) == 1
        await until_empty(sessions, 5)


@pytest.mark.parametrize(
    ("settings", "told"), [({"session_s": 1.5}, "may last 1.5 s"), ({"idle_s": 1.5}, "no picture")]
)
async def test_a_session_that_meets_a_limit_is_told_and_ended(
    engine: Engine, footage: Path, settings: dict[str, float], told: str
) -> None:
    async with serving(engine, **settings) as sessions, Peer(footage) as peer:
        await connect(sessions, peer)
        await peer.until(lambda: peer.of_type("hello"))
        if "idle_s" in settings:
            peer.connection.getSenders()[0].replaceTrack(None)
        await until_empty(sessions)
        await peer.until(lambda: peer.of_type("error"))

        assert told in peer.of_type("error")[0]["message"]
        assert peer.of_type("error")[0]["code"] == "session-ended"


async def test_sound_is_declined_and_costs_nothing(engine: Engine) -> None:
    async with serving(engine) as sessions, Peer(None) as peer:
        peer.connection.addTransceiver("audio")
        await connect(sessions, peer, "demo")
        await peer.until(lambda: peer.pictures)
        audio = next(t for t in peer.connection.getTransceivers() if t.kind == "audio")

        assert audio.currentDirection == "inactive"


async def test_an_offer_with_no_common_codec_leaves_nothing(engine: Engine) -> None:
    async with serving(engine) as sessions, Peer(None) as peer:
        sdp = (await peer.offer()).sdp
        for codec in ("VP8/90000", "H264/90000", "rtx/90000"):
            sdp = sdp.replace(codec, "AV1/90000")
        with pytest.raises(OfferError) as caught:
            await sessions.accept(
                Offer.read({"sdp": sdp, "type": "offer", "source": "demo"}, 65_536)
            )

        assert caught.value.code == "no-codec"
        await until_empty(sessions, 2)


async def test_closing_ends_live_sessions_promptly(engine: Engine, footage: Path) -> None:
    async with serving(engine) as sessions, Peer(footage) as one, Peer(None) as two:
        await connect(sessions, one)
        await connect(sessions, two, "demo")
        await one.until(lambda: one.pictures and two.pictures)
        async with asyncio.timeout(3):
            await sessions.close()
        assert len(sessions) == 0


async def test_twenty_sessions_leave_nothing_behind(engine: Engine, footage: Path) -> None:
    process = psutil.Process()

    async def live_once(sessions: Sessions, number: int) -> None:
        async with Peer(footage if number % 2 else None) as peer:
            await connect(sessions, peer, "peer" if number % 2 else "demo")
            await peer.until(lambda: peer.of_type("caption") and len(peer.pictures) > 3)
        await until_empty(sessions)

    def held() -> tuple[int, int, int]:
        gc.collect()
        return len(asyncio.all_tasks()), threading.active_count(), process.num_fds()

    async with serving(engine, interval_s=0.25) as sessions:
        # The pools fill their threads, and the allocator its arenas, over the first sessions.
        for number in range(6):
            await live_once(sessions, number)
        before, memory = held(), process.memory_info().rss
        for number in range(20):
            await live_once(sessions, number)
        async with asyncio.timeout(5):
            # The last one's tasks may still be about to end.
            while held()[0] > before[0]:
                await asyncio.sleep(0.05)
        after, growth = held(), process.memory_info().rss - memory

    assert after[1] <= before[1] + 2
    assert after[2] <= before[2]
    assert growth < 60e6, f"{growth / 1e6:.0f} MB more after twenty sessions"


async def test_an_answer_carries_only_loopback_candidates(engine: Engine) -> None:
    async with serving(engine) as sessions, Peer(None) as peer:
        body = {"sdp": (await peer.offer()).sdp, "type": "offer", "source": "demo"}
        _, answer = await sessions.accept(Offer.read(body, 65_536))
        assert isinstance(answer, RTCSessionDescription)
        candidates = [line for line in answer.sdp.splitlines() if "a=candidate" in line]

        assert candidates
        assert all(" 127.0.0.1 " in line for line in candidates)
