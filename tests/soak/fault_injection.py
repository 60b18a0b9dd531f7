"""Random faults of a server's parts, and the time until captions resume."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import ClientSession

from tests.soak.clients import SimulatedClients
from tests.soak.soak_server import CAMERA, FEEDS, SoakServer
from tests.support.load.counting_peer import CountingPeer

Part = Literal["engine", "feed", "media process", "viewer"]
PARTS: tuple[Part, ...] = ("engine", "feed", "viewer")
"""The parts of every server; a media process is one more, if it has them."""
MAX_RECOVERY_S = 5.0
"""Maximum time until captions resume."""

_GIVE_UP_S = 60.0
_PAUSE_S = (0.2, 2.0)
"""Range of the pause between a recovery and the next fault."""
_CAMERA_DOWN_S = (0.2, 2.0)
_POLL_INTERVAL_S = 0.05
_LOAD_TIMEOUT_S = 300.0


@dataclass(slots=True)
class Recoveries:
    """Times until captions resumed, in seconds, by part; infinite if they did not."""

    times_s: dict[Part, list[float]] = field(default_factory=dict)

    def add(self, part: Part, seconds: float) -> None:
        """Add a recovery."""
        self.times_s.setdefault(part, []).append(seconds)

    @property
    def late(self) -> int:
        """Number of recoveries that took longer than `MAX_RECOVERY_S`."""
        return sum(seconds > MAX_RECOVERY_S for times in self.times_s.values() for seconds in times)


class FaultInjector:
    """Kills parts of a server one by one, and waits for captions after each."""

    def __init__(self, server: SoakServer, clients: SimulatedClients, seed: int) -> None:
        """Prepare faults of a server.

        Args:
            server: The server.
            clients: Its clients, which receive the captions.
            seed: Determines the faults.
        """
        self._server, self._clients = server, clients
        self._rng = random.Random(seed)
        self.recoveries = Recoveries()

    async def run(self, count: int, parts: Sequence[Part] = PARTS) -> None:
        """Kill `count` parts, each of a random kind."""
        for number in range(count):
            part = self._rng.choice(parts)
            await self._wait_for_captions(time.time(), FEEDS)
            await asyncio.sleep(self._rng.uniform(*_PAUSE_S))
            seconds = await {
                "engine": self._kill_engine,
                "feed": self._restart_camera,
                "media process": self._kill_media_process,
                "viewer": self._replace_viewer,
            }[part]()
            self.recoveries.add(part, seconds)
            print(f"fault {number + 1}, {part}: captions after {seconds:.2f} s", flush=True)

    async def _kill_engine(self) -> float:
        """Kill the worker in use once the standby is loaded."""
        await self._wait_for_standby()
        engine = self._server.process.engine
        if engine:
            engine.kill()
        return await self._wait_for_captions(time.time(), FEEDS)

    async def _restart_camera(self) -> float:
        """Stop the camera and start it again; the time counts from its start."""
        await asyncio.to_thread(self._server.camera.stop)
        await asyncio.sleep(self._rng.uniform(*_CAMERA_DOWN_S))
        await asyncio.to_thread(self._server.camera.start)
        return await self._wait_for_captions(time.time(), (CAMERA,))

    async def _kill_media_process(self) -> float:
        """Kill a media process; what publishes the session connects again, as a page does."""
        self._rng.choice(self._server.process.media_processes).kill()
        killed = time.time()
        await self._server.publish()
        return await self._wait_for_captions(killed, FEEDS)

    async def _replace_viewer(self) -> float:
        """Let a viewer vanish, and connect another."""
        feed = self._rng.choice(FEEDS)
        old, new = (CountingPeer(self._server.process.url) for _ in range(2))
        await old.open(source="feed", feed=feed)
        await old.vanish()
        started = time.time()
        try:
            async with asyncio.timeout(_GIVE_UP_S):
                await new.open(source="feed", feed=feed)
                await new.captioned.wait()
        except TimeoutError:
            return float("inf")
        finally:
            await new.close()
        return time.time() - started

    async def _wait_for_captions(self, since: float, feeds: Sequence[str]) -> float:
        """Wait for a caption of each feed whose frame is newer; return the seconds since then."""
        while time.time() - since < _GIVE_UP_S:
            captured = self._clients.captured_at
            if all(captured.get(feed, 0.0) > since for feed in feeds):
                return max(self._clients.captioned_at[feed] for feed in feeds) - since
            await asyncio.sleep(_POLL_INTERVAL_S)
        return float("inf")

    async def _wait_for_standby(self) -> None:
        """Wait until the standby is loaded: without one, captions stop for longer."""
        async with ClientSession(self._server.process.url) as http:
            for _ in range(round(_LOAD_TIMEOUT_S)):
                async with http.get("/metrics") as response:
                    if "\nsightline_engine_standby 1" in await response.text():
                        return
                await asyncio.sleep(1)
