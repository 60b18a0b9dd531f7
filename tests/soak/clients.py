"""Simulated clients that come and go at random, some of them without disconnecting."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiortc.exceptions import InvalidStateError

from tests.support.load.counting_peer import CountingPeer

_Visit = Callable[[str, float], Coroutine[Any, Any, None]]

_MEAN_STAY_S = 20.0
_MEAN_INTERVAL_S = 2.0
"""Between the arrivals of two clients."""
_MAX_VIEWERS, _MAX_SUBSCRIBERS = 6, 4
_VANISH_PROBABILITY = 0.3
"""Of a viewer, to leave without disconnecting."""


@dataclass(slots=True)
class ClientCounts:
    """Numbers of clients, and what they received.

    Attributes:
        viewers: Viewers (WebRTC) that came.
        subscribers: Subscribers (server-sent events) that came.
        frames: Frames that viewers received.
        captions: Captions that both received.
        refused: Clients that were refused or disconnected by the server.
    """

    viewers: int = 0
    subscribers: int = 0
    frames: int = 0
    captions: int = 0
    refused: int = 0


class SimulatedClients:
    """Viewers and subscribers of feeds that come and go, and one permanent subscriber."""

    def __init__(self, url: str, feeds: Sequence[str], seed: int) -> None:
        """Prepare clients of a server.

        Args:
            url: URL of the server.
            feeds: Names of the feeds.
            seed: Determines when clients come and what they do.
        """
        self._url, self._feeds = url, feeds
        self._rng = random.Random(seed)
        self._ages_s: list[float] = []
        self.counts = ClientCounts()
        self.captioned_at: dict[str, float] = {}
        """Unix time when the permanent subscriber received the newest caption, by feed."""
        self.captured_at: dict[str, float] = {}
        """Unix time when the frame of that caption was captured, by feed."""

    async def run(self) -> None:
        """Simulate clients until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._subscribe_permanently())
            group.create_task(self._simulate(group, self._view, _MAX_VIEWERS))
            group.create_task(self._simulate(group, self._subscribe, _MAX_SUBSCRIBERS))

    def take_ages(self) -> list[float]:
        """Return the ages of captions on arrival since the last call, in seconds."""
        ages, self._ages_s = self._ages_s, []
        return ages

    async def _simulate(self, group: asyncio.TaskGroup, visit: _Visit, limit: int) -> None:
        present: set[asyncio.Task[None]] = set()
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / _MEAN_INTERVAL_S))
            present = {task for task in present if not task.done()}
            if len(present) < limit:
                feed = self._rng.choice(self._feeds)
                stay_s = self._rng.expovariate(1 / _MEAN_STAY_S)
                present.add(group.create_task(visit(feed, stay_s)))

    async def _view(self, feed: str, stay_s: float) -> None:
        peer = CountingPeer(self._url)
        vanishes = self._rng.random() < _VANISH_PROBABILITY
        self.counts.viewers += 1
        opened = False
        try:
            await peer.open(source="feed", feed=feed)
            opened = True
            await asyncio.sleep(stay_s)
        except (aiohttp.ClientError, InvalidStateError, OSError):
            # The server refused the offer, or exited meanwhile.
            self.counts.refused += 1
        finally:
            received = peer.take()
            self.counts.frames += received.returned
            self.counts.captions += len(received.ages_s)
            await (peer.vanish() if vanishes and opened else peer.close())

    async def _subscribe(self, feed: str, stay_s: float) -> None:
        self.counts.subscribers += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(stay_s):
                try:
                    url = f"{self._url}/api/feeds/{feed}/events"
                    async with contextlib.aclosing(_captions(url)) as captions:
                        async for _ in captions:
                            self.counts.captions += 1
                except (aiohttp.ClientError, ConnectionError):
                    self.counts.refused += 1

    async def _subscribe_permanently(self) -> None:
        """Record the times of the captions of all feeds, reconnecting after errors."""
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with contextlib.aclosing(_captions(f"{self._url}/api/events")) as captions:
                    async for caption in captions:
                        captured = caption["frame"]["time"]
                        self.captured_at[caption["feed"]] = captured
                        self.captioned_at[caption["feed"]] = time.time()
                        self._ages_s.append(time.time() - captured)
            await asyncio.sleep(0.1)


async def _captions(url: str) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the captions of an event stream."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    async with (
        aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as http,
        http.get(url) as response,
    ):
        event = b""
        # Split here, because lines may exceed aiohttp's limit.
        rest = b""
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.startswith(b"event:"):
                    event = line[6:].strip()
                elif line.startswith(b"data:") and event == b"caption":
                    yield json.loads(line[5:])
