"""Live sessions over any caption service, with all that they share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from inference.engine.service import CaptionService
from stream.context import Surroundings
from stream.ice.servers import IceSettings
from stream.publishing.publications import Publications
from stream.settings import StreamSettings
from stream.webrtc.sessions import Sessions

_NO_SERVERS = IceSettings()


@asynccontextmanager
async def surrounded(
    captions: CaptionService, ice: IceSettings = _NO_SERVERS, /, **settings: Any
) -> AsyncIterator[Surroundings]:
    """What streams share, on the loopback."""
    shared = Surroundings.prepare(StreamSettings(**settings), captions, "127.0.0.1", ice)
    try:
        yield shared
    finally:
        await shared.close()


@asynccontextmanager
async def serving(
    captions: CaptionService, ice: IceSettings = _NO_SERVERS, /, **settings: Any
) -> AsyncIterator[Sessions]:
    """Sessions, none as yet."""
    async with (
        surrounded(captions, ice, **settings) as shared,
        Sessions(shared, Publications()) as sessions,
    ):
        yield sessions
