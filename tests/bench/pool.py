"""A captioner pool on Ray Serve beside the local engine: throughput, added latency, and scaling.

The engine and the replica are on one machine and measured in turn, so that each has its cores; the
replica both directly and through Serve's proxies. Added latency is also measured with a captioner
that sleeps, which a busy machine disturbs less. So is how throughput grows with the replicas, since
two that compute would share the cores with the load generator.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.captioning import FrameRequest, FrameResult
from inference.engine import CaptionService, Engine
from inference.pool import PoolCaptioner
from tests.bench.figures import Figure, Target
from tests.bench.plan import Plan
from tests.support.pool.ray_cluster import SECRET, RayCluster
from tests.support.pool.timed_captioner import TimedCaptions, timed_image

_STREAMS = 8
"""Streams that have one frame in flight each, so that the engine's batches are full."""
_SLEEP_S = 0.1
_DOZE_S = 0.02
"""About as long as the shipped captioner takes."""
_LIST_S = 3.0
"""After which a client has connected to the replicas, and replicas of an update are gone."""
_MIN_THROUGHPUT = Target(0.9, at_least=True)
_MAX_ADDED_MS = Target(10)
_MIN_SCALING = Target(1.8, at_least=True)

Caption = Callable[[FrameRequest, int | None], Awaitable[FrameResult]]
Image = Callable[[], NDArray[np.uint8]]


async def measure(plan: Plan) -> dict[str, Any]:
    """Run the benchmark; return its `figures`.

    Raises:
        ChildError: If the Ray cluster fails.
    """
    seconds = plan.seconds / 4
    async with RayCluster.start() as cluster:
        rates = {}
        await cluster.deploy(2)
        async with _connected(cluster) as pool:
            rates[2] = await _rate(pool.caption_frame, plan.seconds / 2, _sleeping)
        await cluster.deploy(1)
        sleeping, shipped = _Rounds(), _Rounds()
        async with _connected(cluster) as pool, _connected(cluster, direct=False) as proxies:
            rates[1] = await _rate(pool.caption_frame, plan.seconds / 2, _sleeping)
            local = TimedCaptions()
            for _ in range(plan.rounds):
                await sleeping.wait(local, pool, proxies, seconds, _dozing)
        await cluster.deploy(1, str(plan.captioner))
        engine = Engine(plan.captioner)
        engine.start()
        await engine.wait_loaded()
        try:
            async with _connected(cluster) as pool, _connected(cluster, direct=False) as proxies:
                for number in range(plan.rounds):
                    print(f"pool: round {number + 1} of {plan.rounds} ...", flush=True)
                    await shipped.rate(engine, pool, proxies, seconds, _noise)
                    await shipped.wait(engine, pool, proxies, seconds, _noise)
        finally:
            await engine.stop()
    return {
        "settings": {"streams": _STREAMS, "sleep_s": _SLEEP_S, "doze_s": _DOZE_S},
        "figures": [
            Figure.over_rounds(
                "throughput of a replica",
                "captions/s",
                shipped.pool_rates,
                "local engine",
                shipped.local_rates,
            ),
            Figure.over_rounds(
                "throughput of a replica, ratio to the engine",
                "",
                shipped.ratios(shipped.pool_rates),
                "through proxies",
                shipped.ratios(shipped.proxy_rates),
                _MIN_THROUGHPUT,
            ),
            Figure.over_rounds(
                "latency added by the pool",
                "ms",
                shipped.added,
                "through proxies",
                shipped.added_by_proxies,
                _MAX_ADDED_MS,
            ),
            Figure.over_rounds(
                "latency added by the pool, sleeping captioner",
                "ms",
                sleeping.added,
                "through proxies",
                sleeping.added_by_proxies,
                _MAX_ADDED_MS,
            ),
            Figure.over_rounds(
                "throughput of two sleeping replicas, ratio to one",
                "",
                [[rates[2] / rates[1]]],
                "one, captions/s",
                [[rates[1]]],
                _MIN_SCALING,
            ),
        ],
    }


class _Rounds:
    """Figures of a captioner in this process or beside it, and of the same one in a pool."""

    def __init__(self) -> None:
        self.local_rates: list[list[float]] = []
        self.pool_rates: list[list[float]] = []
        self.proxy_rates: list[list[float]] = []
        self.added: list[list[float]] = []
        """Latency beyond the local one, in ms."""
        self.added_by_proxies: list[list[float]] = []

    async def rate(
        self,
        local: CaptionService,
        pool: PoolCaptioner,
        proxies: PoolCaptioner,
        seconds: float,
        image: Image,
    ) -> None:
        """Measure the captions a second, each for so long."""
        self.local_rates.append([await _rate(local.caption_frame, seconds, image)])
        self.pool_rates.append([await _rate(pool.caption_frame, seconds, image)])
        self.proxy_rates.append([await _rate(proxies.caption_frame, seconds, image)])

    async def wait(
        self,
        local: CaptionService,
        pool: PoolCaptioner,
        proxies: PoolCaptioner,
        seconds: float,
        image: Image,
    ) -> None:
        """Measure the latency, each for so long."""
        floor = float(np.median(await _waits(local.caption_frame, seconds, image)))
        for captions, added in ((pool, self.added), (proxies, self.added_by_proxies)):
            waits = await _waits(captions.caption_frame, seconds, image)
            added.append([wait - floor for wait in waits])

    def ratios(self, rates: list[list[float]]) -> list[list[float]]:
        """Return the ratios to the local rates of the same rounds."""
        return [[rate / local] for (rate,), (local,) in zip(rates, self.local_rates, strict=True)]


@asynccontextmanager
async def _connected(cluster: RayCluster, *, direct: bool = True) -> AsyncIterator[PoolCaptioner]:
    """Connect to the pool, once its captioner and the list of its replicas are there."""
    pool = PoolCaptioner([cluster.url], secret=SECRET, max_wait_s=10, direct=direct)
    pool.start()
    try:
        await pool.wait_loaded()
        await asyncio.sleep(_LIST_S)
        yield pool
        used = pool.replicas.routes["direct"] > 0
        assert used == direct, "frames took the other way"
    finally:
        await pool.stop()


async def _rate(caption: Caption, seconds: float, image: Image) -> float:
    """Return the captions a second of streams that have a frame in flight each."""
    count, until = 0, time.perf_counter() + seconds

    async def stream() -> None:
        nonlocal count
        while time.perf_counter() < until:
            await caption(FrameRequest(image(), refresh=True, maps=True), None)
            count += 1

    begun = time.perf_counter()
    await asyncio.gather(*(stream() for _ in range(_STREAMS)))
    return count / (time.perf_counter() - begun)


async def _waits(caption: Caption, seconds: float, image: Image) -> list[float]:
    """Return the time that captions of one stream took beyond captioning itself, in ms."""
    waits, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until:
        begun = time.perf_counter()
        timing = (await caption(FrameRequest(image(), maps=True), None)).caption.timing_ms
        took_ms = timing.encoder + timing.decoder + timing.maps
        waits.append((time.perf_counter() - begun) * 1e3 - took_ms)
    return waits


_GENERATOR = np.random.default_rng(0)
_IMAGES = _GENERATOR.integers(0, 256, (16, 260, 260, 3), np.uint8)


def _noise() -> NDArray[np.uint8]:
    return np.asarray(_IMAGES[_GENERATOR.integers(len(_IMAGES))])


def _sleeping() -> NDArray[np.uint8]:
    return timed_image(_SLEEP_S)


def _dozing() -> NDArray[np.uint8]:
    return timed_image(_DOZE_S, 260)
