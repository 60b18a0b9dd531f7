"""WebRTC sessions with everything they share, over any caption service."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from jsonschema import Draft202012Validator

from inference.engine.service import CaptionService
from stream.context import StreamContext
from stream.data_channel.messages import SCHEMA_PATH
from stream.ice.servers import IceSettings
from stream.publishing.publications import Publications
from stream.settings import StreamSettings
from stream.webrtc.offer import Offer
from stream.webrtc.sessions import Sessions
from tests.support.peer import Peer

SCHEMA = json.loads(SCHEMA_PATH.read_text())
"""JSON Schema of the data channel's messages."""
SERVER_MESSAGE = Draft202012Validator({"$ref": "#/$defs/server", "$defs": SCHEMA["$defs"]})

_NO_SERVERS = IceSettings()


@asynccontextmanager
async def stream_context(
    captions: CaptionService, ice: IceSettings = _NO_SERVERS, /, **settings: Any
) -> AsyncIterator[StreamContext]:
    """Create a stream context on the loopback interface.

    Args:
        captions: The caption service.
        ice: STUN and TURN servers, none by default.
        settings: Fields of `StreamSettings`.
    """
    context = StreamContext.create(StreamSettings(**settings), captions, "127.0.0.1", ice)
    try:
        yield context
    finally:
        await context.close()


@asynccontextmanager
async def live_sessions(
    captions: CaptionService, ice: IceSettings = _NO_SERVERS, /, **settings: Any
) -> AsyncIterator[Sessions]:
    """Create an empty set of sessions; see `stream_context` for the arguments."""
    async with (
        stream_context(captions, ice, **settings) as context,
        Sessions(context, Publications()) as sessions,
    ):
        yield sessions


async def connect(sessions: Sessions, peer: Peer, source: str = "peer") -> str:
    """Connect a peer; returns the name of its stream."""
    body = {"sdp": (await peer.offer()).sdp, "type": "offer", "source": source}
    session, answer = await sessions.accept(Offer.from_json(body, 65_536))
    await peer.accept(answer)
    return session


async def wait_until_empty(sessions: Sessions, timeout_s: float = 10) -> None:
    """Wait until all sessions have ended."""
    async with asyncio.timeout(timeout_s):
        while len(sessions):
            await asyncio.sleep(0.02)
