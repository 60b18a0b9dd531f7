"""Fuzz test of SDP offers and fragments sent to WHIP and WHEP."""

import logging
import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.feeds.settings import FeedSettings
from stream.settings import StreamSettings
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.peer import Peer
from web.app import create_app
from web.keys import MEDIA
from web.settings.sections import LimitsSettings
from web.settings.server import ServerSettings

Client = TestClient[web.Request, web.Application]
ODD = (
    "a=candidate:1 1 udp 1 127.0.0.1 99999 typ host",
    "a=candidate:1 1 udp 1 127.0.0.1 9 typ",
    "a=extmap:0 x",
    "a=fingerprint:sha-256 00",
    "a=fmtp:1 a=",
    "a=group:BUNDLE 7",
    "a=ice-ufrag:\x00",
    "a=mid:",
    "a=rtpmap:96 VP8/0",
    "a=sctp-port:x",
    "a=setup:holdconn",
    "a=ssrc:99999999999 cname:x",
    "m=audio 9 UDP/TLS/RTP/SAVPF 0",
    "m=video 9 X 96",
)


@pytest_asyncio.fixture(scope="module")
async def client() -> AsyncIterator[Client]:
    app = create_app(
        ServerSettings(
            stream=StreamSettings(sessions=1000, viewers=1000),
            feeds={"shown": FeedSettings(source="demo")},
            limits=LimitsSettings(
                requests_per_s=10_000,
                all_requests_per_s=10_000,
                bytes_per_s=1e8,
                all_bytes_per_s=1e8,
                sessions=1000,
            ),
        ),
        ScriptedCaptions(confident_caption("A man")),
    )
    async with TestClient(TestServer(app)) as client:
        yield client
        assert len(app[MEDIA].sessions) == 0


@pytest_asyncio.fixture(scope="module")
async def offer() -> list[str]:
    """An offer that sends and receives, by line."""
    async with Peer(None, channel=False) as peer:
        sdp = (await peer.offer()).sdp
    return list(sdp.replace("recvonly", "sendrecv").splitlines())


def garble(lines: list[str], chance: random.Random, inserted: list[str]) -> str:
    """Remove, insert and truncate lines."""
    kept = [line for line in lines if chance.random() > 0.02]
    for line in (*inserted, *chance.sample(ODD, chance.randrange(3))):
        kept.insert(chance.randrange(len(kept) + 1), line)
    for _ in range(chance.randrange(3)):
        index = chance.randrange(len(kept))
        kept[index] = kept[index][: chance.randrange(len(kept[index]) + 1)]
    return "\r\n".join(kept) + "\r\n"


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    path=st.sampled_from(["/whip/fuzzed", "/whep/shown"]),
    seed=st.integers(0, 2**32),
    inserted=st.lists(st.text(max_size=20), max_size=2),
)
async def test_garbled_sdp_never_causes_a_server_error(
    client: Client,
    offer: list[str],
    caplog: pytest.LogCaptureFixture,
    path: str,
    seed: int,
    inserted: list[str],
) -> None:
    chance = random.Random(seed)
    body = garble(offer, chance, inserted).encode(errors="replace")
    started = await client.post(path, data=body, headers={"Content-Type": "application/sdp"})
    assert started.status in (201, 400)
    if started.status == 201:
        there = started.headers["Location"]
        patch = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*"}
        fragment = garble(offer, chance, inserted).encode(errors="replace")
        patched = await client.patch(there, data=fragment, headers=patch)
        assert patched.status in (204, 400, 404, 422)
        assert (await client.delete(there)).status in (200, 404)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
