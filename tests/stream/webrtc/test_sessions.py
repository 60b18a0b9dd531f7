"""Sessions between two real peers in one process, with real codecs over the loopback."""

import asyncio
import gc
import os
import re
import signal
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
from aiortc import RTCRtpSender

from inference.captioning.caption import Caption
from inference.engine.engine import Engine
from inference.engine.process import EngineTiming
from stream.context import StreamContext
from stream.publishing.publications import Publications
from stream.settings import StreamSettings
from stream.video.frame import yuv_planes
from stream.webrtc.offer import Offer, OfferError
from stream.webrtc.sessions import ServerFull, Sessions
from tests.network.private_network import PrivateNetwork, run_in_private_network
from tests.support.captions import ScriptedCaptions, confident_caption, tags_fallback
from tests.support.clips import write_clip
from tests.support.live_sessions import SERVER_MESSAGE, connect, live_sessions, wait_until_empty
from tests.support.peer import Peer
from tests.support.scripted_worker import scripted_engine


async def test_a_peer_that_sends_video_receives_annotated_video_and_captions(
    engine: Engine, footage: Path
) -> None:
    async with live_sessions(engine, interval_s=0.25) as sessions, Peer(footage) as peer:
        session = await connect(sessions, peer)
        await peer.until(lambda: len(peer.received("caption")) >= 3 and len(peer.frames) > 40)

        for message in peer.messages:
            SERVER_MESSAGE.validate(message)
        hello = peer.messages[0]
        assert (hello["type"], hello["stream"]) == ("hello", session)
        assert hello["model"]["vocabulary_size"] > 1000
        captions = peer.received("caption")
        assert [caption["seq"] for caption in captions] == list(range(len(captions)))
        assert (captions[0]["frame"]["width"], captions[0]["frame"]["height"]) == (640, 272)
        assert captions[0]["age_ms"] >= captions[0]["timing_ms"]["encoder"]
        times = [caption["frame"]["time"] for caption in captions]
        assert times == sorted(set(times))
        frame = peer.frames[-1]
        assert (frame.width, frame.height) == (640, 272)


async def test_the_caption_is_drawn_on_the_returned_video(engine: Engine) -> None:
    async with live_sessions(engine, interval_s=0.25) as sessions, Peer(None) as peer:
        await connect(sessions, peer, "demo")
        await peer.until(lambda: peer.received("caption"))
        seen = len(peer.frames)
        await peer.until(lambda: len(peer.frames) > seen + 5)

        luma = peer.frames[-1].to_ndarray(format="gray")
        band = luma[-24:-8]
        # White text on a dark band: both present, and hardly any values in between.
        assert np.percentile(band, 99.5) > 180
        assert np.median(band) < 110


@pytest.mark.parametrize(
    ("caption", "is_marked"),
    [
        (confident_caption("A man"), False),
        (tags_fallback("A man on a horse", horse=0.7), True),
        # A certain object leads in place of the mark.
        (tags_fallback("A man on a horse", horse=0.9), False),
    ],
)
async def test_a_low_confidence_caption_is_marked_in_the_returned_video(
    footage: Path, caption: Caption, is_marked: bool
) -> None:
    captions = ScriptedCaptions(caption)
    async with live_sessions(captions, interval_s=0.25) as sessions, Peer(footage) as peer:
        await connect(sessions, peer)
        await peer.until(lambda: peer.received("caption"))
        # Until the next caption, no text is on the frames after a cut of the footage.
        marked = [await has_amber_text(peer) for _ in range(5)]

        assert any(marked) == is_marked


async def has_amber_text(peer: Peer) -> bool:
    """Return whether one of the next frames has amber pixels in its lower quarter."""
    seen = len(peer.frames)
    await peer.until(lambda: len(peer.frames) > seen + 10)
    _, u, v = yuv_planes(peer.frames[-1])
    band = slice(-len(u) // 4, None)
    return bool(((u[band] < 90) & (v[band] > 140)).sum() > 15)


async def test_a_session_can_be_configured_while_it_runs(engine: Engine) -> None:
    async with live_sessions(engine, interval_s=10) as sessions, Peer(None) as peer:
        await connect(sessions, peer, "demo")
        await peer.until(lambda: peer.received("caption"))
        peer.send({"type": "configure", "interval_s": 0.25, "beam_width": 1})
        await peer.until(lambda: len(peer.received("caption")) >= 4)

        assert peer.received("stats")[-1]["settings"] == {
            "interval_s": 0.25,
            "beam_width": 1,
            "overlay": "none",
            "explanations": "all",
            "returned_video": "annotated",
        }


async def test_a_ping_is_answered_and_invalid_messages_are_refused(engine: Engine) -> None:
    async with live_sessions(engine) as sessions, Peer(None) as peer:
        await connect(sessions, peer, "demo")
        await peer.until(lambda: peer.received("hello"))
        peer.send({"type": "ping", "id": 7})
        peer.send("{")
        peer.send("x" * 5000)
        await peer.until(lambda: peer.received("pong") and len(peer.received("error")) == 2)

        assert peer.received("pong") == [{"type": "pong", "id": 7}]
        assert [error["code"] for error in peer.received("error")] == ["bad-json", "too-large"]


async def test_a_flood_of_messages_is_rate_limited_and_the_session_continues(
    engine: Engine,
) -> None:
    async with live_sessions(engine, messages_per_s=5) as sessions, Peer(None) as peer:
        await connect(sessions, peer, "demo")
        await peer.until(lambda: peer.received("hello"))
        for number in range(300):
            peer.send({"type": "ping", "id": number})
        seen = len(peer.received("stats"))
        await peer.until(lambda: len(peer.received("stats")) > seen + 1)

        assert 0 < len(peer.received("pong")) < 40
        errors = peer.received("error")
        assert {error["code"] for error in errors} == {"too-fast"}
        assert len(errors) < 10


async def test_other_channels_are_closed(engine: Engine) -> None:
    async with live_sessions(engine) as sessions, Peer(None) as peer:
        other = peer.connection.createDataChannel("something else")
        await connect(sessions, peer, "demo")
        await peer.until(lambda: other.readyState == "closed")
        await peer.until(lambda: peer.received("stats"))


async def test_captions_pause_and_resume_with_the_engine_while_the_video_continues(
    footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The statistics come once a second.
    timing = EngineTiming(first_pause_s=2.5)
    async with (
        scripted_engine(tmp_path, monkeypatch, timing) as engine,
        live_sessions(engine, interval_s=0.25) as sessions,
        Peer(footage) as peer,
    ):
        await connect(sessions, peer)
        await peer.until(lambda: peer.received("caption"))
        assert engine.pid
        # The extreme of a slow captioner: a stopped one.
        os.kill(engine.pid, signal.SIGSTOP)
        pictures = len(peer.frames)
        await peer.until(lambda: len(peer.frames) > pictures + 40)
        os.kill(engine.pid, signal.SIGKILL)
        await peer.until(lambda: peer.received("stats")[-1]["captioner"]["state"] == "paused")
        assert peer.received("stats")[-1]["captioner"]["message"]
        pictures, captions = len(peer.frames), len(peer.received("caption"))
        await peer.until(lambda: len(peer.received("caption")) > captions, 60)
        await peer.until(lambda: len(peer.frames) > pictures + 20)
        # They may be older than the caption.
        ready = {"state": "ready", "message": ""}
        await peer.until(lambda: peer.received("stats")[-1]["captioner"] == ready)


async def test_sessions_beyond_the_limit_are_refused_until_one_ends(engine: Engine) -> None:
    async with live_sessions(engine, sessions=1) as sessions, Peer(None) as second:
        async with Peer(None) as first:
            await connect(sessions, first, "demo")
            with pytest.raises(ServerFull):
                await connect(sessions, second, "demo")
            await first.until(lambda: first.received("hello"))
        await wait_until_empty(sessions)
    async with live_sessions(engine, sessions=1) as sessions, Peer(None) as third:
        await connect(sessions, third, "demo")


async def test_a_session_ends_at_once_when_its_peer_disconnects(
    engine: Engine, footage: Path
) -> None:
    async with live_sessions(engine) as sessions:
        async with Peer(footage) as peer:
            await connect(sessions, peer)
            await peer.until(lambda: peer.frames)
        await wait_until_empty(sessions, 3)


async def test_a_session_ends_when_its_peer_vanishes(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with live_sessions(engine, vanished_s=2) as sessions, Peer(None) as peer:
        await connect(sessions, peer, "demo")
        await peer.until(lambda: peer.frames)
        # As when the machine loses power: its sockets send nothing any more.
        transport = peer.connection.getReceivers()[0].transport.transport
        for protocol in transport._connection._protocols:
            monkeypatch.setattr(protocol.transport, "sendto", lambda *_: None)
        await wait_until_empty(sessions)


async def test_a_session_ends_if_its_peer_never_connects(engine: Engine) -> None:
    async with live_sessions(engine, connect_s=1) as sessions, Peer(None) as peer:
        body = {"sdp": (await peer.offer()).sdp, "type": "offer", "source": "demo"}
        await sessions.accept(Offer.from_json(body, 65_536))
        assert len(sessions) == 1
        await wait_until_empty(sessions, 5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"session_s": 1.5}, "time limit of 1.5 s"), ({"idle_s": 1.5}, "no video")],
)
async def test_a_session_ends_with_a_message_at_a_limit(
    engine: Engine, footage: Path, settings: dict[str, float], message: str
) -> None:
    async with live_sessions(engine, **settings) as sessions, Peer(footage) as peer:
        await connect(sessions, peer)
        await peer.until(lambda: peer.received("hello"))
        if "idle_s" in settings:
            peer.connection.getSenders()[0].replaceTrack(None)
        await wait_until_empty(sessions)
        await peer.until(lambda: peer.received("error"))

        assert message in peer.received("error")[0]["message"]
        assert peer.received("error")[0]["code"] == "session-ended"


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_a_peer_that_sends_too_large_frames_is_refused(
    engine: Engine, tmp_path: Path, codec: str
) -> None:
    clip = tmp_path / "large.mp4"
    write_clip(clip, count=20, size=(960, 720))
    async with live_sessions(engine, frame_pixels=800 * 600) as sessions, Peer(clip) as peer:
        codecs = RTCRtpSender.getCapabilities("video").codecs
        peer.connection.getTransceivers()[0].setCodecPreferences(
            [offered for offered in codecs if offered.name == codec]
        )
        await connect(sessions, peer)
        await peer.until(lambda: peer.received("error"))
        (error,) = peer.received("error")
        assert error["code"] == "source-ended"
        assert error["message"] == (
            "the video has frames of 960x720 pixels, more than the limit of 0.5 million; send "
            "smaller frames"
        )
        assert not peer.received("caption")
        await wait_until_empty(sessions)


async def test_large_frames_are_returned_scaled_down(engine: Engine, tmp_path: Path) -> None:
    clip = tmp_path / "4k.mp4"
    write_clip(clip, count=20, size=(3840, 2160), codec_options={"preset": "ultrafast"})
    async with live_sessions(engine, interval_s=0.25) as sessions, Peer(clip) as peer:
        await connect(sessions, peer)
        await peer.until(lambda: peer.received("caption") and peer.frames, 60)
        size = peer.received("caption")[0]["frame"]
        assert (size["width"], size["height"]) == (3840, 2160)
        assert (peer.frames[-1].width, peer.frames[-1].height) == (1920, 1080)


async def test_audio_is_declined(engine: Engine) -> None:
    async with live_sessions(engine) as sessions, Peer(None) as peer:
        peer.connection.addTransceiver("audio")
        await connect(sessions, peer, "demo")
        await peer.until(lambda: peer.frames)
        audio = next(t for t in peer.connection.getTransceivers() if t.kind == "audio")

        assert audio.currentDirection == "inactive"


async def test_an_offer_without_a_common_codec_is_refused_and_freed(engine: Engine) -> None:
    async with live_sessions(engine) as sessions, Peer(None) as peer:
        sdp = (await peer.offer()).sdp
        for codec in ("VP8/90000", "H264/90000", "rtx/90000"):
            sdp = sdp.replace(codec, "AV1/90000")
        with pytest.raises(OfferError) as caught:
            await sessions.accept(
                Offer.from_json({"sdp": sdp, "type": "offer", "source": "demo"}, 65_536)
            )

        assert caught.value.code == "no-codec"
        await wait_until_empty(sessions, 2)


async def test_closing_ends_live_sessions_quickly(engine: Engine, footage: Path) -> None:
    async with live_sessions(engine) as sessions, Peer(footage) as one, Peer(None) as two:
        await connect(sessions, one)
        await connect(sessions, two, "demo")
        await one.until(lambda: one.frames and two.frames)
        async with asyncio.timeout(3):
            await sessions.close()
        assert len(sessions) == 0


async def test_twenty_sessions_leak_nothing(engine: Engine, footage: Path) -> None:
    process = psutil.Process()

    async def run_session(sessions: Sessions, number: int) -> None:
        async with Peer(footage if number % 2 else None) as peer:
            await connect(sessions, peer, "peer" if number % 2 else "demo")
            await peer.until(lambda: peer.received("caption") and len(peer.frames) > 3)
        await wait_until_empty(sessions)

    def resources() -> tuple[int, int, int]:
        gc.collect()
        return len(asyncio.all_tasks()), threading.active_count(), process.num_fds()

    async with live_sessions(engine, interval_s=0.25) as sessions:
        # The first sessions start the threads of the pools, and fill the allocator's arenas.
        for number in range(6):
            await run_session(sessions, number)
        before, memory = resources(), process.memory_info().rss
        for number in range(20):
            await run_session(sessions, number)
        async with asyncio.timeout(5):
            # The last session's tasks may still be ending.
            while resources()[0] > before[0]:
                await asyncio.sleep(0.05)
        after, growth = resources(), process.memory_info().rss - memory

    assert after[1] <= before[1] + 2
    assert after[2] <= before[2]
    assert growth < 60e6, f"{growth / 1e6:.0f} MB more after twenty sessions"


def test_a_candidate_with_an_unknown_name_delays_no_connection(footage: Path) -> None:
    """The client's own checks reveal its address (RFC 8445, section 7.3.1.3)."""

    async def work(network: PrivateNetwork) -> None:
        captions = ScriptedCaptions(confident_caption("A man"))
        context = StreamContext.create(StreamSettings(), captions, "0.0.0.0")
        async with Sessions(context, Publications()) as sessions, Peer(footage) as peer:
            sdp = re.sub(
                r"(a=candidate:\S+ 1 udp \d+) \S+", r"\1 f00d.local", (await peer.offer()).sdp
            )
            _, answer = await sessions.accept(
                Offer.from_json({"sdp": sdp, "type": "offer"}, 65_536)
            )
            asked_before_the_answer = list(network.sent())
            await peer.accept(answer)
            await peer.until(lambda: peer.frames and peer.received("caption"))

            assert not asked_before_the_answer
            # The name is looked up nevertheless: the answer may open a firewall.
            assert any(b"\x04f00d\x05local" in query for _, query in network.sent())
        await context.close()

    run_in_private_network(work)
