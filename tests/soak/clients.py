"""Those who watch: they come at random, stay for a while, and go, some without a word."""

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

from tests.bench.counting_peer import CountingPeer

_Visit = Callable[[str, float], Coroutine[Any, Any, None]]
_STAYS_S = 20.0
"""On average."""
_COMES_S = 2.0
"""From one to the next, on average."""
_MOST_VIEWERS, _MOST_READERS = 6, 4
_VANISHES = 0.3
"""Part of the viewers who go without a word."""


@dataclass(slots=True)
class Visits:
    """How many came, and what became of them."""

    viewers: int = 0
    readers: int = 0
    pictures: int = 0
    captions: int = 0
    refused: int = 0
    """Who was not let in, or was sent away."""


class Audience:
    """Viewers (WebRTC) and readers (server-sent events) of some feeds; and one who stays."""

    def __init__(self, url: str, feeds: Sequence[str], seed: int) -> None:
        """Visit a server's feeds, by the seed."""
        self._url, self._feeds = url, feeds
        self._rng = random.Random(seed)
        self._ages_s: list[float] = []
        self.visits = Visits()
        self.captioned_at: dict[str, float] = {}
        """When the newest caption of each feed came to the one who stays, in Unix time."""
        self.captured_at: dict[str, float] = {}
        """When the server had that caption's picture."""

    async def run(self) -> None:
        """Come and go until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._stay())
            group.create_task(self._visit(group, self._watch, _MOST_VIEWERS))
            group.create_task(self._visit(group, self._read, _MOST_READERS))

    def take_ages(self) -> list[float]:
        """Return how old captions were when they came, in seconds, since the last time."""
        ages, self._ages_s = self._ages_s, []
        return ages

    async def _visit(self, group: asyncio.TaskGroup, visit: _Visit, most: int) -> None:
        present: set[asyncio.Task[None]] = set()
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / _COMES_S))
            present = {task for task in present if not task.done()}
            if len(present) < most:
                feed, stays_s = self._rng.choice(self._feeds), self._rng.expovariate(1 / _STAYS_S)
                present.add(group.create_task(visit(feed, stays_s)))

    async def _watch(self, feed: str, stays_s: float) -> None:
        peer = CountingPeer(self._url)
        vanishes = self._rng.random() < _VANISHES
        self.visits.viewers += 1
        opened = False
        try:
            await peer.open(source="feed", feed=feed)
            opened = True
            await asyncio.sleep(stays_s)
        except (aiohttp.ClientError, InvalidStateError, OSError):
            # Refused, or the server ended meanwhile.
            self.visits.refused += 1
        finally:
            counted = peer.take()
            self.visits.pictures += counted.returned
            self.visits.captions += len(counted.ages_s)
            await (peer.vanish() if vanishes and opened else peer.close())

    async def _read(self, feed: str, stays_s: float) -> None:
        self.visits.readers += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(stays_s):
                try:
                    url = f"{self._url}/api/feeds/{feed}/events"
                    async with contextlib.aclosing(_captions(url)) as captions:
                        async for _ in captions:
                            self.visits.captions += 1
                except (aiohttp.ClientError, ConnectionError):
                    self.visits.refused += 1

    async def _stay(self) -> None:
        """Read the captions of all feeds from beginning to end."""
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
    """Read captions as they come."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    async with (
        aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as http,
        http.get(url) as response,
    ):
        event = b""
        # Lines may be longer than what aiohttp reads by line.
        rest = b""
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.startswith(b"event:"):
                    event = line[6:].strip()
                elif line.startswith(b"data:") and event == b"caption":
                    yield json.loads(line[5:])
