"""Sessions that watch what another session publishes."""

import asyncio
import socket
from pathlib import Path

import pytest

from stream.ice.servers import IceSettings
from stream.publishing.publications import NameTaken, NoSuchStream
from stream.webrtc.offer import Offer, OfferError
from stream.webrtc.sessions import ServerFull, Sessions
from tests.support.captions import ScriptedCaptions, sure
from tests.support.live import serving
from tests.support.peer import Peer

LIMIT = 65_536


async def connect(sessions: Sessions, peer: Peer, **body: str) -> str:
    offer = {"sdp": (await peer.offer()).sdp, "type": "offer", **body}
    session, answer = await sessions.accept(Offer.read(offer, LIMIT))
    await peer.accept(answer)
    return session


async def test_many_watch_what_one_publishes_and_it_is_encoded_once(footage: Path) -> None:
    captions = ScriptedCaptions(sure("A man rides a bicycle"))
    async with serving(captions, interval_s=0.25) as sessions, Peer(footage) as source:
        session = await connect(sessions, source, publish="street")
        await source.until(lambda: source.pictures and source.of_type("caption"))
        async with Peer(None) as one, Peer(None) as two:
            for viewer in (one, two):
                await connect(sessions, viewer, source="feed", feed="street")
            await two.until(lambda: len(two.pictures) > 20 and two.of_type("caption"))
            await one.until(lambda: len(one.pictures) > 20 and one.of_type("caption"))
            stream = sessions.find(session).client._stream
            assert sessions.viewers == stream.viewers == 2
            assert stream.shared_video.encoded <= stream.intake.received
            assert one.of_type("hello")[0]["watching"]["feed"] == "street"
            assert one.of_type("caption")[-1]["text"] == "A man rides a bicycle"

        async with asyncio.timeout(15):
            while sessions.viewers:
                await asyncio.sleep(0.05)
        seen = len(source.pictures)
        await source.until(lambda: len(source.pictures) > seen + 5)


async def test_who_may_not_watch_or_publish_is_told_why(footage: Path) -> None:
    captions = ScriptedCaptions(sure("A man"))
    async with serving(captions, viewers=1) as sessions, Peer(footage) as source:
        async with Peer(None) as viewer:
            with pytest.raises(NoSuchStream, match="street"):
                await connect(sessions, viewer, source="feed", feed="street")
        await connect(sessions, source, publish="street")
        async with Peer(footage) as other:
            with pytest.raises(NameTaken, match="another name"):
                await connect(sessions, other, publish="street")
        async with Peer(None) as one, Peer(None) as two:
            await connect(sessions, one, source="feed", feed="street")
            with pytest.raises(ServerFull, match="1 places for viewers"):
                await connect(sessions, two, source="feed", feed="street")
            sdp = (await two.offer()).sdp.replace("VP8/90000", "AV1/90000")
            with pytest.raises(OfferError, match="offer VP8"):
                Offer.read({"sdp": sdp, "type": "offer", "source": "feed", "feed": "a"}, LIMIT)


async def test_viewers_are_told_when_what_they_watch_is_gone(footage: Path) -> None:
    captions = ScriptedCaptions(sure("A man"))
    async with serving(captions) as sessions, Peer(None) as viewer:
        async with Peer(footage) as source:
            await connect(sessions, source, publish="street")
            await connect(sessions, viewer, source="feed", feed="street")
            await viewer.until(lambda: viewer.pictures)
        await viewer.until(lambda: viewer.of_type("error"))
        assert viewer.of_type("error")[0]["code"] == "source-ended"


async def test_who_finds_no_port_left_is_told_so(footage: Path) -> None:
    captions = ScriptedCaptions(sure("A man"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        ports = "{0}-{0}".format(taken.getsockname()[1])
        async with serving(captions, IceSettings(ports=ports)) as sessions, Peer(footage) as peer:
            with pytest.raises(ServerFull, match=f"every UDP port of {ports} is taken"):
                await connect(sessions, peer)
            await peer.until(lambda: len(sessions) == 0)
