"""What clients of a stream are told: its owner, and those who watch it."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from inference.engine.service import Explained
from inference.explanations.map import Map
from inference.explanations.target import Target
from stream.captioned_stream import CaptionedStream, Signal, SignalState
from stream.captioning.live_maps import LiveExplanation
from stream.publishing.publications import NameTaken, NoSuchStream, Publications
from stream.sources import open_source
from stream.sources.intake import read_source
from stream.webrtc.offer import InputKind, Offer
from stream.webrtc.sessions import ServerFull, Sessions
from tests.stream.data_channel.test_explanation_requests import check_all
from tests.support.captions import ScriptedCaptions, sure
from tests.support.live import surrounded
from tests.support.peer import Peer


async def connect(sessions: Sessions, peer: Peer, source: str = "feed", name: str = "hall") -> str:
    offered = await peer.offer()
    feed, publish = (name, "") if source == "feed" else ("", name)
    offer = Offer.of(offered.sdp, InputKind(source), 65_536, feed=feed, publish=publish)
    session, answer = await sessions.accept(offer, may_analyse=False)
    await peer.accept(answer)
    return session


class Hall:
    """A feed of the demo, and the sessions of those who watch it."""

    def __init__(self, stream: CaptionedStream, sessions: Sessions) -> None:
        self.stream, self.sessions = stream, sessions


@pytest.fixture
async def hall():  # type: ignore[no-untyped-def]
    captions = ScriptedCaptions(sure("A hall"))
    published = Publications()
    async with (
        surrounded(captions, interval_s=0.25, viewers=2) as shared,
        Sessions(shared, published) as sessions,
    ):
        stream = CaptionedStream("hall", shared, title="The hall")
        published.add(stream)
        stream.signal = Signal(SignalState.LIVE)
        running = asyncio.create_task(stream.run())
        reading = asyncio.create_task(read_source(open_source("demo"), stream.intake))
        yield Hall(stream, sessions)
        for task in (running, reading):
            task.cancel()
        await asyncio.gather(running, reading, return_exceptions=True)
        published.remove(stream)
        await stream.close()


async def test_two_watch_one_feed_which_is_encoded_once(hall: Hall) -> None:
    async with Peer(None) as one, Peer(None) as two:
        await connect(hall.sessions, one)
        await connect(hall.sessions, two)
        await one.until(lambda: len(one.pictures) > 20 and len(two.pictures) > 20)
        await one.until(lambda: one.of_type("caption") and two.of_type("caption"))
        for peer in (one, two):
            check_all(peer)
            assert peer.of_type("hello")[0]["watching"] == {"feed": "hall", "title": "The hall"}
        assert hall.stream.viewers == hall.sessions.viewers == 2
        assert {said["seq"] for said in one.of_type("caption")} & {
            said["seq"] for said in two.of_type("caption")
        }
        assert hall.stream.shared_video.encoded < len(one.pictures) + len(two.pictures)
        with pytest.raises(ServerFull, match="2 places for viewers"):
            async with Peer(None) as three:
                await connect(hall.sessions, three)
    await one.until(lambda: not hall.sessions.viewers)
    assert hall.stream.viewers == 0


async def test_who_watches_sets_only_what_it_is_sent_itself(hall: Hall) -> None:
    async with Peer(None) as one:
        await connect(hall.sessions, one)
        await one.until(lambda: one.of_type("caption"))
        one.send({"type": "configure", "interval_s": 5, "explanations": "none"})
        await one.until(lambda: one.of_type("error"))
        await one.until(lambda: one.of_type("stats")[-1]["settings"]["explanations"] == "none")
        one.send({"type": "analyze", "id": 1, "seq": 0, "kind": "adversarial", "params": {}})
        await one.until(lambda: len(one.of_type("error")) == 2)

        assert [error["code"] for error in one.of_type("error")] == ["not-allowed"] * 2
        assert hall.stream.sampler.interval_s == 0.25
        assert hall.stream.maps.explanations == "all"
        check_all(one)


async def test_a_signal_that_changes_is_told_at_once(hall: Hall) -> None:
    async with Peer(None) as one:
        await connect(hall.sessions, one)
        await one.until(lambda: one.of_type("stats"))
        hall.stream.signal = Signal(SignalState.LOST, 12.0, "It is off.")
        await one.until(lambda: one.of_type("stats")[-1]["signal"]["state"] == "lost", 0.5)

        assert one.of_type("stats")[-1]["signal"]["message"] == "It is off."


async def test_a_feed_that_is_taken_away_ends_its_viewers(hall: Hall) -> None:
    async with Peer(None) as one:
        await connect(hall.sessions, one)
        await one.until(lambda: one.of_type("caption"))
        await hall.stream.close()
        await one.until(lambda: one.of_type("error"), 2)

        assert one.of_type("error")[0]["code"] == "source-ended"
        await one.until(lambda: not len(hall.sessions), 3)


async def test_no_saliency_is_told_of_a_caption_that_was_not(hall: Hall) -> None:
    async with Peer(None) as one:
        session = await connect(hall.sessions, one)
        await one.until(lambda: one.of_type("explanation"))
        last = one.of_type("explanation")[-1]
        explained = Explained(Map.from_json(last["map"]), last["took_ms"])
        live = LiveExplanation(last["seq"], "after", Target("caption"), explained)
        hall.stream.explanations.publish(replace(live, seq=10**6))
        hall.stream.explanations.publish(live)
        await one.until(lambda: one.of_type("explanation")[-1]["method"] == "after")

        assert 10**6 not in [message["seq"] for message in one.of_type("explanation")]
        assert hall.sessions.find(session).watches


async def test_a_published_session_can_be_watched_until_it_ends(hall: Hall, footage: Path) -> None:
    async with Peer(None) as viewer, Peer(None) as other:
        async with Peer(footage) as owner:
            await connect(hall.sessions, owner, "peer", "phone")
            await connect(hall.sessions, viewer, "feed", "phone")
            await owner.until(lambda: len(viewer.pictures) > 5 and len(owner.pictures) > 5)
            with pytest.raises(NameTaken, match="phone"):
                async with Peer(footage) as rival:
                    await connect(hall.sessions, rival, "peer", "phone")
        await viewer.until(lambda: viewer.of_type("error"))
        assert viewer.of_type("error")[0]["code"] == "source-ended"
        with pytest.raises(NoSuchStream):
            await connect(hall.sessions, other, "feed", "phone")
