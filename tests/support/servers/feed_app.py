"""An application with a feed that says what a test tells it to, and doors of all kinds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from stream.captioned_stream import CaptionedStream
from stream.publishing.publications import Publications
from tests.support.captions import ScriptedCaptions, sure
from web.app import create_app
from web.keys import PUBLICATIONS
from web.settings.server import ServerSettings

Client = TestClient[Any, Any]
YARD = {"source": "demo", "title": "Back yard", "interval_s": 0.5}
DOG = sure("A dog runs", dog=0.9)


@asynccontextmanager
async def serving(
    captions: ScriptedCaptions | None = None, **settings: Any
) -> AsyncIterator[Client]:
    """Serve an application with the feed `yard`, once that has said something."""
    made = ServerSettings.model_validate({"feeds": {"yard": YARD}, **settings})
    app = create_app(made, captions or ScriptedCaptions(DOG))
    async with TestClient(TestServer(app)) as client:
        if "yard" in made.feeds:
            await until_captioned(client)
        yield client


def publications_of(client: Client) -> Publications:
    """All that can be watched there."""
    assert client.app
    publications: Publications = client.app[PUBLICATIONS]
    return publications


def stream_of(client: Client, name: str = "yard") -> CaptionedStream:
    """The stream behind a feed."""
    return publications_of(client).find(name)


async def until_captioned(client: Client, name: str = "yard") -> None:
    """Wait for a feed's first caption."""
    async with asyncio.timeout(20):
        streams = publications_of(client).all
        while not any(stream.newest for stream in streams() if stream.name == name):
            await asyncio.sleep(0.02)
