"""A captioner pool on Ray Serve beside the local engine: throughput, added latency, and scaling.

The engine and the replica are on one machine and measured in turn, so that each has its cores. How
throughput grows with the replicas is measured with a captioner that sleeps, since two that compute
would share the cores with the load generator.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.captioning import FrameRequest, FrameResult
from inference.engine import Engine
from inference.pool import PoolCaptioner
from tests.bench.figures import Figure, Target
from tests.bench.plan import Plan
from tests.support.pool.ray_cluster import SECRET, RayCluster
from tests.support.pool.timed_captioner import timed_image

_STREAMS = 8
"""Streams that have one frame in flight each, so that the engine's batches are full."""
_SLEEP_S = 0.1
_MIN_THROUGHPUT = Target(0.9, at_least=True)
_MAX_ADDED_MS = Target(10)
_MIN_SCALING = Target(1.8, at_least=True)

Caption = Callable[[FrameRequest], Awaitable[FrameResult]]


async def measure(plan: Plan) -> dict[str, Any]:
    """Run the benchmark; return its `figures`.

    Raises:
        ChildError: If the Ray cluster fails.
    """
    throughput: list[list[float]] = []
    baseline: list[list[float]] = []
    ratios: list[list[float]] = []
    added: list[list[float]] = []
    local_waits: list[list[float]] = []
    async with RayCluster.start() as cluster:
        rates = {}
        for replicas in (1, 2):
            await cluster.deploy(replicas)
            async with _connected(cluster) as pool:
                rates[replicas] = await _rate(pool.caption_frame, plan.seconds / 2, _sleeping)
        await cluster.deploy(1, str(plan.captioner))
        engine = Engine(plan.captioner)
        engine.start()
        await engine.wait_loaded()
        try:
            async with _connected(cluster, engine) as pool:
                for number in range(plan.rounds):
                    print(f"pool: round {number + 1} of {plan.rounds} ...", flush=True)
                    seconds = plan.seconds / 4
                    local = await _rate(engine.caption_frame, seconds, _noise)
                    remote = await _rate(pool.caption_frame, seconds, _noise)
                    baseline.append([local])
                    throughput.append([remote])
                    ratios.append([remote / local])
                    local_waits.append(await _waits(engine.caption_frame, seconds))
                    waits = await _waits(pool.caption_frame, seconds)
                    floor = float(np.median(local_waits[-1]))
                    added.append([wait - floor for wait in waits])
        finally:
            await engine.stop()
    return {
        "settings": {"streams": _STREAMS, "sleep_s": _SLEEP_S},
        "figures": [
            Figure.over_rounds(
                "throughput of a replica", "captions/s", throughput, "local engine", baseline
            ),
            Figure.over_rounds(
                "throughput of a replica, ratio to the engine", "", ratios, target=_MIN_THROUGHPUT
            ),
            Figure.over_rounds(
                "latency added by the pool",
                "ms",
                added,
                "wait at the engine",
                local_waits,
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


@asynccontextmanager
async def _connected(cluster: RayCluster, engine: Engine | None = None) -> Any:
    """Connect to the pool, once the captioner of the engine is there."""
    pool = PoolCaptioner([cluster.url], secret=SECRET, max_wait_s=10)
    pool.start()
    try:
        await pool.wait_loaded()
        yield pool
    finally:
        await pool.stop()


async def _rate(caption: Caption, seconds: float, image: Callable[[], NDArray[np.uint8]]) -> float:
    """Return the captions a second of streams that have a frame in flight each."""
    count, until = 0, time.perf_counter() + seconds

    async def stream() -> None:
        nonlocal count
        while time.perf_counter() < until:
            await caption(FrameRequest(image(), refresh=True, maps=True))
            count += 1

    begun = time.perf_counter()
    await asyncio.gather(*(stream() for _ in range(_STREAMS)))
    return count / (time.perf_counter() - begun)


async def _waits(caption: Caption, seconds: float) -> list[float]:
    """Return the time that captions of one stream took beyond captioning itself, in ms."""
    waits, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until:
        begun = time.perf_counter()
        timing = (await caption(FrameRequest(_noise(), maps=True))).caption.timing_ms
        took_ms = timing.encoder + timing.decoder + timing.maps
        waits.append((time.perf_counter() - begun) * 1e3 - took_ms)
    return waits


_GENERATOR = np.random.default_rng(0)
_IMAGES = _GENERATOR.integers(0, 256, (16, 260, 260, 3), np.uint8)


def _noise() -> NDArray[np.uint8]:
    return np.asarray(_IMAGES[_GENERATOR.integers(len(_IMAGES))])


def _sleeping() -> NDArray[np.uint8]:
    return timed_image(_SLEEP_S)
