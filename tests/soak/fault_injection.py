"""Parts of a server that are killed at random, and how long captions are gone."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import ClientSession

from tests.bench.counting_peer import CountingPeer
from tests.soak.audience import Audience
from tests.soak.scene import CAMERA, FEEDS, Scene

Part = Literal["engine", "feed", "viewer"]
PARTS: tuple[Part, ...] = ("engine", "feed", "viewer")
BACK_S = 5.0
"""What captions may take to be back."""
_GIVE_UP_S = 60.0
_PAUSES_S = (0.2, 2.0)
"""Between all being well and the next that is killed."""
_CAMERA_GONE_S = (0.2, 2.0)
_POLL_S = 0.05
_LOADED_S = 300.0


@dataclass(slots=True)
class Recoveries:
    """How long captions were gone each time, in seconds; infinite where they never came back."""

    took_s: dict[Part, list[float]] = field(default_factory=dict)

    def note(self, part: Part, seconds: float) -> None:
        """Take note of one."""
        self.took_s.setdefault(part, []).append(seconds)

    @property
    def late(self) -> int:
        """How often they took too long."""
        return sum(took > BACK_S for all_ in self.took_s.values() for took in all_)


class Kills:
    """Kills a part, waits until captions are back, and again."""

    def __init__(self, scene: Scene, audience: Audience, seed: int) -> None:
        """Kill parts of a scene, by the seed; the audience tells when captions are back."""
        self._scene, self._audience = scene, audience
        self._rng = random.Random(seed)
        self.recoveries = Recoveries()

    async def run(self, count: int, parts: Sequence[Part] = PARTS) -> None:
        """Kill so many parts, each of a kind chosen at random."""
        for number in range(count):
            part = self._rng.choice(parts)
            await self._wait_until_well()
            await asyncio.sleep(self._rng.uniform(*_PAUSES_S))
            took_s = await {
                "engine": self._kill_engine,
                "feed": self._kill_feed,
                "viewer": self._kill_viewer,
            }[part]()
            self.recoveries.note(part, took_s)
            print(f"kill {number + 1}: {part}: captions back after {took_s:.2f} s", flush=True)

    async def _kill_engine(self) -> float:
        """Kill the process that captions; one on standby has to be loaded before."""
        await self._wait_until_loaded()
        engine = self._scene.server.engine
        if engine:
            engine.kill()
        return await self._back(time.time(), FEEDS)

    async def _kill_feed(self) -> float:
        """Kill the camera, and start it again; captions are to be back once it is."""
        await asyncio.to_thread(self._scene.camera.stop)
        await asyncio.sleep(self._rng.uniform(*_CAMERA_GONE_S))
        await asyncio.to_thread(self._scene.camera.start)
        return await self._back(time.time(), (CAMERA,))

    async def _kill_viewer(self) -> float:
        """Have a viewer vanish, and another come in its place."""
        feed = self._rng.choice(FEEDS)
        gone, come = (CountingPeer(self._scene.server.url) for _ in range(2))
        await gone.open(source="feed", feed=feed)
        await gone.vanish()
        begun = time.time()
        try:
            async with asyncio.timeout(_GIVE_UP_S):
                await come.open(source="feed", feed=feed)
                await come.captioned.wait()
        except TimeoutError:
            return float("inf")
        finally:
            await come.close()
        return time.time() - begun

    async def _back(self, since: float, feeds: Sequence[str]) -> float:
        """Wait for a caption of each feed, of a picture taken since; return how long it took."""
        while time.time() - since < _GIVE_UP_S:
            captured = self._audience.captured_at
            if all(captured.get(feed, 0.0) > since for feed in feeds):
                return max(self._audience.captioned_at[feed] for feed in feeds) - since
            await asyncio.sleep(_POLL_S)
        return float("inf")

    async def _wait_until_well(self) -> None:
        await self._back(time.time(), FEEDS)

    async def _wait_until_loaded(self) -> None:
        """Wait until the process on standby is loaded: who kills both stops captions for longer."""
        async with ClientSession(self._scene.server.url) as http:
            for _ in range(round(_LOADED_S)):
                async with http.get("/metrics") as response:
                    if "\nsightline_engine_standby 1" in await response.text():
                        return
                await asyncio.sleep(1)
