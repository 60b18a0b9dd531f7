"""Media by way of a real TURN server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiortc import RTCConfiguration, RTCIceServer
from aiortc.rtcconfiguration import RTCIceTransportPolicy

from stream.ice.servers import IceSettings, as_json, ice_servers
from stream.webrtc.offer import Offer
from tests.support.captions import ScriptedCaptions, sure
from tests.support.live import serving
from tests.support.peer import Peer
from tests.support.turn_server import TurnServer, turn_server


@pytest.fixture
def coturn(tmp_path: Path) -> Iterator[TurnServer]:
    with turn_server(tmp_path) as server:
        yield server


async def test_a_client_with_no_other_way_is_relayed(coturn: TurnServer, footage: Path) -> None:
    """It uses no more than it is told: the server's URL, and credentials that end."""
    ice = IceSettings(turn=(coturn.url,), turn_secret=coturn.secret)
    told = [RTCIceServer(**server) for server in as_json(ice_servers(ice))]
    relayed = RTCConfiguration(told, iceTransportPolicy=RTCIceTransportPolicy.RELAY)
    captions = ScriptedCaptions(sure("A man"))
    async with serving(captions, ice) as sessions, Peer(footage, relayed) as peer:
        sdp = (await peer.offer()).sdp
        assert sdp.count("a=candidate:") == sdp.count("typ relay") > 0
        _, answer = await sessions.accept(Offer.read({"sdp": sdp, "type": "offer"}, 65_536))
        # The server has a relayed address too, for clients that reach nothing else.
        assert "typ relay" in answer.sdp
        await peer.accept(answer)
        await peer.until(lambda: len(peer.pictures) > 10 and peer.of_type("caption"))

    assert "CHANNEL_BIND processed, success" in coturn.log.read_text()


async def test_a_relay_that_refuses_keeps_nobody_from_a_direct_way(
    coturn: TurnServer, footage: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ice = IceSettings(turn=(coturn.url,), turn_secret="another secret")
    captions = ScriptedCaptions(sure("A man"))
    async with serving(captions, ice) as sessions, Peer(footage) as peer:
        body = {"sdp": (await peer.offer()).sdp, "type": "offer"}
        _, answer = await sessions.accept(Offer.read(body, 65_536))
        assert "typ relay" not in answer.sdp
        await peer.accept(answer)
        await peer.until(lambda: peer.pictures)
    assert "the TURN server gave no address" in caplog.text
