"""The application with two media processes, scripted captions and real sessions."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from aiortc import RTCSessionDescription

from inference.engine import ExplanationResult
from stream.media import MediaProcesses
from stream.media.slot import Slot
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.peer import Peer
from web.app import create_app
from web.keys import MEDIA, USAGE_LIMITS
from web.settings.server import ServerSettings

DOG = confident_caption("A dog runs", dog=0.9)
WAIT_S = 30
"""A process takes a second to start, on a busy machine several."""


class HeldCaptions(ScriptedCaptions):
    """Scripted captions whose explanations never end."""

    async def explain(self, *_: object, **__: object) -> ExplanationResult:
        """Wait until cancelled."""
        await asyncio.Event().wait()
        raise AssertionError


class MediaServer:
    """A running application with media processes."""

    def __init__(self, client: TestClient[Any, Any], captions: ScriptedCaptions) -> None:
        """Wrap the application of a client."""
        assert client.app
        media = client.app[MEDIA]
        assert isinstance(media, MediaProcesses)
        self.client, self.captions, self.media = client, captions, media
        self.limits = client.app[USAGE_LIMITS]

    @property
    def pids(self) -> list[int]:
        """Process ids of the media processes, by their number."""
        return [slot.process.pid for slot in self.media.running if slot.process]

    async def offer(self, peer: Peer, source: str = "demo", **values: str) -> ClientResponse:
        """Send a peer's offer."""
        body = {"sdp": (await peer.offer()).sdp, "type": "offer", "source": source, **values}
        return await self.client.post("/offer", json=body)

    async def connect(self, peer: Peer, source: str = "demo", **values: str) -> str:
        """Connect a peer; return the id of its session."""
        response = await self.offer(peer, source, **values)
        answer = await response.json()
        assert response.status == 200, answer
        await peer.accept(RTCSessionDescription(answer["sdp"], answer["type"]))
        return str(answer["stream"])

    def slot_of(self, session: str) -> Slot:
        """Return the slot whose process runs a session."""
        (slot,) = [slot for slot in self.media.running if session in slot.sessions]
        return slot

    async def get(self, path: str) -> Any:
        """Return the JSON at a path."""
        async with self.client.get(path) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def metric(self, name: str) -> float:
        """Return the value of a metric, summed over its labels."""
        async with self.client.get("/metrics") as response:
            text = await response.text()
        found = re.findall(rf"^sightline_{name}(?:{{.*}})? (\S+)$", text, re.M)
        assert found, name
        return sum(map(float, found))

    async def until_running(self, count: int) -> None:
        """Wait until so many media processes are ready."""
        await until(lambda: len(self.media.running) == count)

    async def until_captioned(self, feed: str, after: float = 0.0) -> dict[str, Any]:
        """Wait for a caption of a feed whose frame was captured after a time; return the feed."""
        async with asyncio.timeout(WAIT_S):
            while True:
                async with self.client.get(f"/api/feeds/{feed}") as response:
                    listed: dict[str, Any] = await response.json()
                caption = listed.get("caption")
                if caption and caption["frame"]["time"] > after:
                    return listed
                await asyncio.sleep(0.05)


@asynccontextmanager
async def serve_media(
    captions: ScriptedCaptions | None = None, *, processes: int = 2, **settings: Any
) -> AsyncIterator[MediaServer]:
    """Serve the application.

    Args:
        captions: The caption service of the front; captions every frame with `DOG` by default.
        processes: Largest number of media processes.
        settings: Fields of `ServerSettings`.
    """
    stream = {"media_processes": processes, "interval_s": 0.25, **settings.pop("stream", {})}
    captions = captions or ScriptedCaptions(DOG)
    app = create_app(ServerSettings.model_validate({"stream": stream, **settings}), captions)
    async with TestClient(TestServer(app)) as client:
        yield MediaServer(client, captions)


async def until(
    condition: Callable[[], bool] | Callable[[], Awaitable[bool]], seconds: float = WAIT_S
) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(seconds):
        while True:
            holds = condition()
            if await holds if isinstance(holds, Awaitable) else holds:
                return
            await asyncio.sleep(0.05)
