"""A client of an application on the loopback address, with the real engine."""

from collections.abc import AsyncIterator

import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from stream.settings import StreamSettings
from web.app import create_app
from web.settings.server import ServerSettings


@pytest_asyncio.fixture(scope="session")
async def client() -> AsyncIterator[TestClient]:  # type: ignore[type-arg]
    app = create_app(ServerSettings(stream=StreamSettings(sessions=1, sdp_bytes=20_000)))
    async with TestClient(TestServer(app)) as client:
        yield client
