"""Media through a real TURN server (coturn)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiortc import RTCConfiguration, RTCIceServer
from aiortc.rtcconfiguration import RTCIceTransportPolicy

from stream.ice.servers import IceSettings, ice_servers, ice_servers_to_json
from stream.webrtc.offer import Offer
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.live_sessions import live_sessions
from tests.support.peer import Peer
from tests.support.servers.turn_server import TurnServer, turn_server


@pytest.fixture
def coturn(tmp_path: Path) -> Iterator[TurnServer]:
    with turn_server(tmp_path) as server:
        yield server


async def test_media_is_relayed_if_no_direct_connection_is_possible(
    coturn: TurnServer, footage: Path
) -> None:
    """The client uses the TURN URL and the temporary credentials of the server."""
    ice = IceSettings(turn=(coturn.url,), turn_secret=coturn.secret)
    servers = [RTCIceServer(**server) for server in ice_servers_to_json(ice_servers(ice))]
    relayed = RTCConfiguration(servers, iceTransportPolicy=RTCIceTransportPolicy.RELAY)
    captions = ScriptedCaptions(confident_caption("A man"))
    async with live_sessions(captions, ice) as sessions, Peer(footage, relayed) as peer:
        sdp = (await peer.offer()).sdp
        assert sdp.count("a=candidate:") == sdp.count("typ relay") > 0
        _, answer = await sessions.accept(Offer.from_json({"sdp": sdp, "type": "offer"}, 65_536))
        # The server offers a relayed address too, for clients that reach only the relay.
        assert "typ relay" in answer.sdp
        await peer.accept(answer)
        await peer.until(lambda: len(peer.frames) > 10 and peer.received("caption"))

    assert "CHANNEL_BIND processed, success" in coturn.log.read_text()


async def test_a_direct_connection_works_if_the_relay_refuses(
    coturn: TurnServer, footage: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ice = IceSettings(turn=(coturn.url,), turn_secret="another secret")
    captions = ScriptedCaptions(confident_caption("A man"))
    async with live_sessions(captions, ice) as sessions, Peer(footage) as peer:
        body = {"sdp": (await peer.offer()).sdp, "type": "offer"}
        _, answer = await sessions.accept(Offer.from_json(body, 65_536))
        assert "typ relay" not in answer.sdp
        await peer.accept(answer)
        await peer.until(lambda: peer.frames)
    assert "the TURN server provided no relay address" in caplog.text
