"""Sessions that watch what another session publishes."""

import asyncio
import socket
from pathlib import Path

import pytest
from aiortc import VideoStreamTrack

from stream.ice.servers import IceSettings
from stream.publishing.publications import NameTaken, NoSuchStream
from stream.webrtc.offer import Offer, OfferError
from stream.webrtc.sessions import ServerFull, Sessions
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.live_sessions import live_sessions
from tests.support.peer import Peer

LIMIT = 65_536


async def connect(sessions: Sessions, peer: Peer, **body: str) -> str:
    offer = {"sdp": (await peer.offer()).sdp, "type": "offer", **body}
    session, answer = await sessions.accept(Offer.from_json(offer, LIMIT))
    await peer.accept(answer)
    return session


async def test_video_for_several_viewers_is_encoded_once(footage: Path) -> None:
    captions = ScriptedCaptions(confident_caption("A man rides a bicycle"))
    async with live_sessions(captions, interval_s=0.25) as sessions, Peer(footage) as source:
        session = await connect(sessions, source, publish="street")
        await source.until(lambda: source.frames and source.received("caption"))
        async with Peer(None) as one, Peer(None) as two:
            for viewer in (one, two):
                await connect(sessions, viewer, source="feed", feed="street")
            await two.until(lambda: len(two.frames) > 20 and two.received("caption"))
            await one.until(lambda: len(one.frames) > 20 and one.received("caption"))
            stream = sessions.find(session).client._stream
            assert sessions.viewers == stream.viewers == 2
            assert stream.shared_video.encoded <= stream.ingest.received
            assert one.received("hello")[0]["watching"]["feed"] == "street"
            assert one.received("caption")[-1]["text"] == "A man rides a bicycle"

        async with asyncio.timeout(15):
            while sessions.viewers:
                await asyncio.sleep(0.05)
        seen = len(source.frames)
        await source.until(lambda: len(source.frames) > seen + 5)


async def test_a_viewer_can_watch_without_the_caption() -> None:
    """As the wall, which shows captions itself; nothing is encoded that nobody watches."""
    captions, dark = (
        ScriptedCaptions(confident_caption("A man rides a bicycle")),
        VideoStreamTrack(),
    )
    async with live_sessions(captions, interval_s=0.25) as sessions, Peer(dark) as source:
        session = await connect(sessions, source, publish="street")
        stream = sessions.find(session).client._stream
        async with Peer(None) as plain, Peer(None) as annotated:
            await connect(sessions, plain, source="feed", feed="street", returned_video="plain")
            await plain.until(lambda: len(plain.frames) > 20 and plain.received("caption"))
            assert plain.received("hello")[0]["settings"]["returned_video"] == "plain"
            assert plain.received("text_area")[-1]["top"] == 1
            assert brightest(plain) < 200
            await connect(sessions, annotated, source="feed", feed="street")
            await annotated.until(lambda: annotated.frames and brightest(annotated) > 200)
            assert brightest(plain) < 200
        async with asyncio.timeout(15):
            while stream.plain_video.viewers:
                await asyncio.sleep(0.05)
        encoded, returned = stream.plain_video.encoded, len(source.frames)
        await source.until(lambda: len(source.frames) > returned + 10)
        assert encoded <= stream.plain_video.encoded <= encoded + 1


def brightest(peer: Peer) -> int:
    """Return the luma of the brightest pixel of the newest frame."""
    return int(peer.frames[-1].to_ndarray(format="gray").max())


async def test_watching_and_publishing_are_refused_with_a_reason(footage: Path) -> None:
    captions = ScriptedCaptions(confident_caption("A man"))
    async with live_sessions(captions, viewers=1) as sessions, Peer(footage) as source:
        async with Peer(None) as viewer:
            with pytest.raises(NoSuchStream, match="street"):
                await connect(sessions, viewer, source="feed", feed="street")
        await connect(sessions, source, publish="street")
        async with Peer(footage) as other:
            with pytest.raises(NameTaken, match="another name"):
                await connect(sessions, other, publish="street")
        async with Peer(None) as one, Peer(None) as two:
            await connect(sessions, one, source="feed", feed="street")
            with pytest.raises(ServerFull, match="limit of 1 viewers"):
                await connect(sessions, two, source="feed", feed="street")
            sdp = (await two.offer()).sdp.replace("VP8/90000", "AV1/90000")
            sdp = sdp.replace("packetization-mode=1", "packetization-mode=0")
            with pytest.raises(OfferError, match="no codec of shared video: VP8, or H"):
                Offer.from_json({"sdp": sdp, "type": "offer", "source": "feed", "feed": "a"}, LIMIT)


async def test_viewers_are_notified_when_the_publisher_leaves(footage: Path) -> None:
    captions = ScriptedCaptions(confident_caption("A man"))
    async with live_sessions(captions) as sessions, Peer(None) as viewer:
        async with Peer(footage) as source:
            await connect(sessions, source, publish="street")
            await connect(sessions, viewer, source="feed", feed="street")
            await viewer.until(lambda: viewer.frames)
        await viewer.until(lambda: viewer.received("error"))
        assert viewer.received("error")[0]["code"] == "source-ended"


async def test_a_session_is_refused_if_no_port_is_free(footage: Path) -> None:
    captions = ScriptedCaptions(confident_caption("A man"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        ports = "{0}-{0}".format(taken.getsockname()[1])
        async with (
            live_sessions(captions, IceSettings(ports=ports)) as sessions,
            Peer(footage) as peer,
        ):
            with pytest.raises(ServerFull, match=f"all UDP ports of {ports} are in use"):
                await connect(sessions, peer)
            await peer.until(lambda: len(sessions) == 0)
