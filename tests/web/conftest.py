"""A client of an application on the loopback address, with the real engine."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from inference.engine import Engine
from stream.settings import StreamSettings
from web.app import create_app
from web.keys import ENGINE, STREAM_CONTEXT
from web.settings.server import ServerSettings


@pytest_asyncio.fixture(scope="session")
async def shared_client(engine: Engine) -> AsyncIterator[TestClient]:  # type: ignore[type-arg]
    app = create_app(ServerSettings(stream=StreamSettings(sessions=1, sdp_bytes=20_000)), engine)
    app[ENGINE] = engine
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest_asyncio.fixture
async def client(shared_client: TestClient) -> TestClient:  # type: ignore[type-arg]
    """The shared client, of a server without sessions that has not measured any load.

    The loop stands still while other tests run, which the server takes for load.
    """
    assert shared_client.app is not None
    shared_client.app[STREAM_CONTEXT].load.restart()
    async with asyncio.timeout(10):
        while (await (await shared_client.get("/healthz")).json())["sessions"]:
            await asyncio.sleep(0.05)
    return shared_client
