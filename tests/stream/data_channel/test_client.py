"""Tests of the clients of a stream: its owner and its viewers."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from inference.engine.service import ExplanationResult
from inference.explanations.map import Map
from inference.explanations.target import Target
from stream.captioned_stream import CaptionedStream, Signal, SignalState
from stream.captioning.live_maps import LiveExplanation
from stream.publishing.publications import NameTaken, NoSuchStream, Publications
from stream.quota import Owner
from stream.sources import open_source
from stream.sources.ingest import ingest_source
from stream.usage_limits import LocalLimits
from stream.webrtc.offer import InputKind, Offer
from stream.webrtc.sessions import ServerFull, Sessions
from tests.stream.data_channel.test_explanation_requests import check_all
from tests.support.captions import ScriptedCaptions, confident_caption, uncalibrated_caption
from tests.support.live_sessions import live_sessions, stream_context
from tests.support.peer import Peer


async def connect(sessions: Sessions, peer: Peer, source: str = "feed", name: str = "hall") -> str:
    offered = await peer.offer()
    feed, publish = (name, "") if source == "feed" else ("", name)
    offer = Offer.from_sdp(offered.sdp, InputKind(source), 65_536, feed=feed, publish=publish)
    session, answer = await sessions.accept(offer, may_analyse=False)
    await peer.accept(answer)
    return session


class Hall:
    """A feed of the demo video, and the sessions of its viewers."""

    def __init__(self, stream: CaptionedStream, sessions: Sessions) -> None:
        self.stream, self.sessions = stream, sessions


@pytest.fixture
async def hall():  # type: ignore[no-untyped-def]
    captions = ScriptedCaptions(confident_caption("A hall"))
    published = Publications()
    async with (
        stream_context(captions, interval_s=0.25, viewers=2) as shared,
        Sessions(shared, published) as sessions,
    ):
        stream = CaptionedStream("hall", shared, title="The hall")
        published.add(stream)
        stream.signal = Signal(SignalState.LIVE)
        running = asyncio.create_task(stream.run())
        reading = asyncio.create_task(ingest_source(open_source("demo"), stream.ingest))
        yield Hall(stream, sessions)
        for task in (running, reading):
            task.cancel()
        await asyncio.gather(running, reading, return_exceptions=True)
        published.remove(stream)
        await stream.close()


async def test_a_feed_with_two_viewers_is_encoded_once(hall: Hall) -> None:
    async with Peer(None) as one, Peer(None) as two:
        await connect(hall.sessions, one)
        await connect(hall.sessions, two)
        await one.until(lambda: len(one.frames) > 20 and len(two.frames) > 20)
        await one.until(lambda: one.received("caption") and two.received("caption"))
        for peer in (one, two):
            check_all(peer)
            assert peer.received("hello")[0]["watching"] == {"feed": "hall", "title": "The hall"}
        assert hall.stream.viewers == hall.sessions.viewers == 2
        assert {caption["seq"] for caption in one.received("caption")} & {
            caption["seq"] for caption in two.received("caption")
        }
        assert hall.stream.shared_video.encoded < len(one.frames) + len(two.frames)
        with pytest.raises(ServerFull, match="limit of 2 viewers"):
            async with Peer(None) as three:
                await connect(hall.sessions, three)
    await one.until(lambda: not hall.sessions.viewers)
    assert hall.stream.viewers == 0


async def test_a_viewer_can_change_only_what_it_is_sent(hall: Hall) -> None:
    async with Peer(None) as one:
        await connect(hall.sessions, one)
        await one.until(lambda: one.received("caption"))
        one.send({"type": "configure", "interval_s": 5, "explanations": "none"})
        await one.until(lambda: one.received("error"))
        await one.until(lambda: one.received("stats")[-1]["settings"]["explanations"] == "none")
        one.send({"type": "analyze", "id": 1, "seq": 0, "kind": "adversarial", "params": {}})
        await one.until(lambda: len(one.received("error")) == 2)

        assert [error["code"] for error in one.received("error")] == ["not-allowed"] * 2
        assert hall.stream.sampler.interval_s == 0.25
        assert hall.stream.maps.explanations == "all"
        check_all(one)


async def test_the_owner_can_turn_the_returned_video_off_and_on(footage: Path) -> None:
    captions = ScriptedCaptions(confident_caption("A hall"))
    async with live_sessions(captions, interval_s=0.25) as sessions, Peer(footage) as peer:
        await connect(sessions, peer, "peer", "")
        await peer.until(lambda: len(peer.frames) > 5 and peer.received("stats"))
        assert peer.received("hello")[0]["settings"]["returned_video"] == "annotated"

        peer.send({"type": "configure", "returned_video": "off"})
        await peer.until(
            lambda: (
                peer.received("stats")[-1]["settings"]["returned_video"] == "off"
                and peer.received("stats")[-1]["frames"]["fps_out"] == 0
            )
        )
        stats, captioned = peer.received("stats")[-1], len(peer.received("caption"))
        await peer.until(lambda: len(peer.received("caption")) > captioned + 3)
        later = peer.received("stats")[-1]["frames"]
        assert later["returned"] == stats["frames"]["returned"]
        assert later["received"] > stats["frames"]["received"]
        # Frames that are not returned on purpose are not counted as lost.
        lost = later["replaced"] - stats["frames"]["replaced"]
        assert lost < (later["received"] - stats["frames"]["received"]) / 2

        shown = len(peer.frames)
        peer.send({"type": "configure", "returned_video": "plain"})
        await peer.until(lambda: len(peer.frames) > shown + 5)
        check_all(peer)


async def test_the_video_of_a_published_session_is_the_same_for_everyone(footage: Path) -> None:
    captions = ScriptedCaptions(confident_caption("A hall"))
    async with live_sessions(captions, interval_s=0.25) as sessions, Peer(footage) as peer:
        await connect(sessions, peer, "peer", "hall")
        await peer.until(lambda: len(peer.frames) > 5)
        peer.send({"type": "configure", "returned_video": "off"})
        await peer.until(lambda: peer.received("error"))
        (error,) = peer.received("error")
        assert (error["code"], "others watch this stream" in error["message"]) == (
            "not-allowed",
            True,
        )
        assert peer.received("stats")[-1]["settings"]["returned_video"] == "annotated"


async def test_what_a_captioner_lacks_is_refused() -> None:
    captions = ScriptedCaptions(uncalibrated_caption("A hall", scores=False))
    captions.info = replace(
        captions.info,
        captioner="endpoint:kitchen",
        encoder=None,
        vocabulary_size=None,
        beam_width=None,
        calibrated=False,
        live_method=None,
        methods=(),
        analyses=("ace",),
    )
    async with live_sessions(captions, interval_s=0.25) as sessions, Peer(None) as peer:
        offer = Offer.from_sdp((await peer.offer()).sdp, InputKind.DEMO, 65_536)
        _, answer = await sessions.accept(offer)
        await peer.accept(answer)
        await peer.until(lambda: peer.received("caption"))
        peer.send({"type": "configure", "overlay": "words", "interval_s": 5})
        peer.send({"type": "configure", "overlay": "saliency"})
        peer.send({"type": "configure", "beam_width": 2})
        peer.send({"type": "analyze", "id": 1, "seq": 0, "kind": "adversarial", "params": {}})
        await peer.until(lambda: len(peer.received("error")) == 4)

        assert [(error["code"], error["message"]) for error in peer.received("error")] == [
            ("not-allowed", "overlay: the captions of this captioner have no word maps; use none"),
            ("not-allowed", "overlay: this captioner has no saliency maps; use another one"),
            ("not-allowed", "beam_width: this captioner has no beam search; leave it out"),
            ("cannot-analyse", "this captioner has no analysis adversarial"),
        ]
        settings = peer.received("stats")[-1]["settings"]
        assert (settings["overlay"], settings["interval_s"]) == ("none", 0.25)
        assert settings["beam_width"] is None
        assert peer.received("hello")[0]["model"]["source"] == {
            "kind": "endpoint",
            "name": "kitchen",
            "revision": None,
        }
        assert peer.received("caption")[0]["confidence"] is None
        assert [word["prob"] for word in peer.received("caption")[0]["words"]] == [None, None]
        check_all(peer)


async def test_a_change_of_the_signal_is_sent_at_once(hall: Hall) -> None:
    async with Peer(None) as one:
        await connect(hall.sessions, one)
        await one.until(lambda: one.received("stats"))
        hall.stream.signal = Signal(SignalState.LOST, 12.0, "It is off.")
        await one.until(lambda: one.received("stats")[-1]["signal"]["state"] == "lost", 0.5)

        assert one.received("stats")[-1]["signal"]["message"] == "It is off."


async def test_closing_a_feed_ends_its_viewers(hall: Hall) -> None:
    async with Peer(None) as one:
        await connect(hall.sessions, one)
        await one.until(lambda: one.received("caption"))
        await hall.stream.close()
        await one.until(lambda: one.received("error"), 2)

        assert one.received("error")[0]["code"] == "source-ended"
        await one.until(lambda: not len(hall.sessions), 3)


async def test_no_saliency_is_sent_for_a_caption_that_was_not(hall: Hall) -> None:
    async with Peer(None) as one:
        session = await connect(hall.sessions, one)
        await one.until(lambda: one.received("explanation"))
        last = one.received("explanation")[-1]
        result = ExplanationResult(Map.from_json(last["map"]), last["took_ms"])
        live = LiveExplanation(last["seq"], "after", Target("caption"), result)
        hall.stream.live_explanations.publish(replace(live, seq=10**6))
        hall.stream.live_explanations.publish(live)
        await one.until(lambda: one.received("explanation")[-1]["method"] == "after")

        assert 10**6 not in [message["seq"] for message in one.received("explanation")]
        assert hall.sessions.find(session).is_viewer


async def test_a_published_session_can_be_watched_until_it_ends(hall: Hall, footage: Path) -> None:
    async with Peer(None) as viewer, Peer(None) as other:
        async with Peer(footage) as owner:
            await connect(hall.sessions, owner, "peer", "phone")
            await connect(hall.sessions, viewer, "feed", "phone")
            await owner.until(lambda: len(viewer.frames) > 5 and len(owner.frames) > 5)
            with pytest.raises(NameTaken, match="phone"):
                async with Peer(footage) as rival:
                    await connect(hall.sessions, rival, "peer", "phone")
        await viewer.until(lambda: viewer.received("error"))
        assert viewer.received("error")[0]["code"] == "source-ended"
        with pytest.raises(NoSuchStream):
            await connect(hall.sessions, other, "feed", "phone")


class _EndlessExplanations(ScriptedCaptions):
    async def explain(self, *_: object, **__: object) -> ExplanationResult:
        await asyncio.Event().wait()
        raise AssertionError


async def test_an_address_may_have_a_share_of_the_explanations() -> None:
    captions = _EndlessExplanations(confident_caption("A hall"))
    async with live_sessions(captions, interval_s=0.25) as sessions, AsyncExitStack() as opened:
        owners = [Owner("192.0.2.1", is_admin=False, share=0.5)] * 3
        owners.append(Owner("192.0.2.1", is_admin=True, share=0.5))
        limits = sessions.context.limits
        assert isinstance(limits, LocalLimits)
        peers = [await opened.enter_async_context(Peer(None)) for _ in owners]
        for peer, owner in zip(peers, owners, strict=True):
            offer = Offer.from_sdp((await peer.offer()).sdp, InputKind.DEMO, 65_536)
            _, answer = await sessions.accept(offer, owner=owner)
            await peer.accept(answer)
        for number, peer in enumerate(peers):
            await peer.until(lambda peer=peer: peer.received("caption"))  # type: ignore[misc]
            seq = peer.received("caption")[-1]["seq"]
            peer.send({"type": "freeze", "seq": seq})
            for request_id in range(4):
                request = {"id": request_id, "seq": seq, "method": "gradcam"}
                peer.send({"type": "explain", "of": {"kind": "caption"}, **request})
            running = (4, 8, 8, 12)[number]
            await peer.until(lambda running=running: len(limits.explanations) == running)  # type: ignore[misc]
        await peers[2].until(lambda: len(peers[2].received("error")) == 4)

        assert [len(peer.received("error")) for peer in peers] == [0, 0, 4, 0]
        assert {error["code"] for error in peers[2].received("error")} == {"busy"}
    assert not len(limits.explanations)
