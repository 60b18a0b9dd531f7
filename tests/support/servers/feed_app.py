"""The application with scripted captions and a feed named `yard`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from stream.captioned_stream import CaptionedStream
from stream.publishing.publications import Publications
from tests.support.captions import ScriptedCaptions, confident_caption
from web.app import create_app
from web.keys import PUBLICATIONS
from web.settings.server import ServerSettings

Client = TestClient[Any, Any]

YARD = {"source": "demo", "title": "Back yard", "interval_s": 0.5}
DOG = confident_caption("A dog runs", dog=0.9)


@asynccontextmanager
async def serve_feeds(
    captions: ScriptedCaptions | None = None, **settings: Any
) -> AsyncIterator[Client]:
    """Serve the application; if it has the feed `yard`, once that has its first caption.

    Args:
        captions: The caption service; captions every frame with `DOG` by default.
        settings: Fields of `ServerSettings`; `feeds` replaces the feed `yard`.
    """
    server_settings = ServerSettings.model_validate({"feeds": {"yard": YARD}, **settings})
    app = create_app(server_settings, captions or ScriptedCaptions(DOG))
    async with TestClient(TestServer(app)) as client:
        if "yard" in server_settings.feeds:
            await wait_for_caption(client)
        yield client


def get_publications(client: Client) -> Publications:
    """Return the publications of a client's application."""
    assert client.app
    publications: Publications = client.app[PUBLICATIONS]
    return publications


def get_stream(client: Client, name: str = "yard") -> CaptionedStream:
    """Return the stream of a feed."""
    return get_publications(client).find_here(name)


async def wait_for_caption(client: Client, name: str = "yard") -> None:
    """Wait for a feed's first caption."""
    async with asyncio.timeout(20):
        streams = get_publications(client).all
        while not any(stream.latest_caption for stream in streams() if stream.name == name):
            await asyncio.sleep(0.02)
