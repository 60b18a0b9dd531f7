"""The metrics, parsed by the Prometheus client."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from aiortc import RTCSessionDescription
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families

from stream.settings import StreamSettings
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.peer import Peer
from web.app import create_app
from web.settings.server import ServerSettings

Client = TestClient[web.Request, web.Application]
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    settings = ServerSettings(stream=StreamSettings(interval_s=0.25))
    app = create_app(settings, ScriptedCaptions(confident_caption("A cup")))
    async with TestClient(TestServer(app)) as client:
        yield client


async def samples(client: Client) -> dict[tuple[str, ...], float]:
    """The samples by name and label values."""
    text = await (await client.get("/metrics")).text()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def watch(client: Client, peer: Peer) -> None:
    """Watch the demo until frames and captions arrive."""
    body = {"sdp": (await peer.offer()).sdp, "type": "offer", "source": "demo"}
    answer: dict[str, Any] = await (await client.post("/offer", json=body)).json()
    await peer.accept(RTCSessionDescription(answer["sdp"], answer["type"]))
    await peer.until(lambda: peer.frames and len(peer.received("caption")) > 1)


async def test_the_totals_of_a_session_remain_after_it_ends(client: Client) -> None:
    assert (await samples(client))["sightline_frames_received_total",] == 0
    async with Peer(None) as peer:
        await watch(client, peer)
        live = await samples(client)
    assert live["sightline_sessions", "own"] == 1
    assert live["sightline_streams",] == 1
    assert live["sightline_frames_drawn_total",] >= len(peer.frames)
    assert live["sightline_captions_total",] >= 2
    assert live["sightline_caption_age_seconds_count",] == live["sightline_captions_total",]
    assert live["sightline_caption_age_seconds_bucket", "0.5"] > 0
    assert live["sightline_frames_dropped_total", "caption"] > 0
    assert live["sightline_engine_ready",] == 1
    assert live["sightline_load_level",] == 0
    assert live["sightline_http_requests_total", "POST", "/offer", "200"] == 1

    await until_no_session(client)
    ended = await samples(client)
    assert ended["sightline_streams",] == 0
    for name in ("frames_received", "frames_drawn", "captions"):
        assert ended[f"sightline_{name}_total",] >= live[f"sightline_{name}_total",]


async def until_no_session(client: Client) -> None:
    while (await samples(client))["sightline_sessions", "own"]:
        pass


async def test_requests_are_counted_by_route_not_by_path(client: Client) -> None:
    for path in ("/nothing", "/streams/x/pictures/1", "/streams/y/pictures/2"):
        await client.get(path)
    found = await samples(client)

    assert found["sightline_http_requests_total", "GET", "unknown", "404"] == 1
    assert found["sightline_http_requests_total", "GET", "/streams/{stream}/pictures/{seq}", "404"]


async def test_both_formats_are_valid(client: Client) -> None:
    plain = await client.get("/metrics")
    assert plain.headers["Content-Type"].startswith("text/plain")
    families = list(text_string_to_metric_families(await plain.text()))
    assert all(family.documentation for family in families)
    assert {"sightline_event_loop_lag_seconds", "process_resident_memory_bytes"} <= {
        family.name for family in families
    }
    opened = await client.get("/metrics", headers=OPENMETRICS)
    assert opened.headers["Content-Type"].startswith("application/openmetrics-text")
    assert list(read_openmetrics(await opened.text()))  # type: ignore[no-untyped-call]
