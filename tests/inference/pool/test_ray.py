"""A pool on a real Ray cluster of two nodes: lost replicas and nodes, and the shipped captioner."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from inference.captioning import FrameRequest
from inference.engine import Engine, EngineUnavailable, FrameTooOld
from inference.pool import PoolCaptioner
from tests.inference.conftest import photographs
from tests.inference.pool.conftest import pool_of
from tests.support.pool.ray_cluster import SECRET, RayCluster
from tests.support.pool.timed_captioner import LOSING_IMAGE, timed_image

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[3]
MAX_GAP_S = 5.0


@pytest_asyncio.fixture(scope="session")
async def ray_cluster() -> AsyncIterator[RayCluster]:
    """A cluster with two replicas of the timed captioner."""
    async with RayCluster.start() as cluster:
        reported = await cluster.deploy(replicas=2)
        assert reported[-1] == "2 replicas are ready"
        yield cluster


@asynccontextmanager
async def connected(ray_cluster: RayCluster) -> AsyncIterator[PoolCaptioner]:
    async with pool_of(ray_cluster.url, secret=SECRET, poll_s=0.5) as pool:
        async with asyncio.timeout(60):
            await pool.wait_ready()
        yield pool


class Streams:
    """Streams that are captioned one frame after another, as by samplers."""

    def __init__(self, pool: PoolCaptioner, count: int, seconds: float) -> None:
        self.replicas: Counter[str] = Counter()
        self.too_old = 0
        self.lost: list[EngineUnavailable] = []
        self.times: list[float] = []
        self._pool, self._image = pool, timed_image(seconds)
        self._tasks = [asyncio.create_task(self._run()) for _ in range(count)]

    async def _run(self) -> None:
        state, expected = None, 1
        while True:
            await self._pool.wait_ready()
            try:
                caption, state = await self._pool.caption_frame(FrameRequest(self._image, state))
            except FrameTooOld:
                self.too_old += 1
            except EngineUnavailable as problem:
                self.lost.append(problem)
            else:
                assert state.tokens == (expected,)
                expected += 1
                self.replicas[caption.timing_ms.replica] += 1
                self.times.append(time.monotonic())

    async def until(self, replicas: int) -> None:
        """Wait until so many replicas have answered since now."""
        self.replicas.clear()
        async with asyncio.timeout(120):
            while len(self.replicas) < replicas:
                await asyncio.sleep(0.05)
                self.check()

    def check(self) -> None:
        """Raise the exception of a stream that has ended."""
        for task in self._tasks:
            if task.done():
                task.result()

    def check_lost(self) -> None:
        """Check that no stream has lost more than the frame that it had in flight."""
        assert len(self.lost) <= len(self._tasks), self.lost

    async def stop(self) -> None:
        """End the streams."""
        self.check()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def longest_gap_s(self) -> float:
        """The longest time without a caption of any stream."""
        return float(np.diff(self.times).max())


async def test_any_replica_answers_any_stream_and_its_state_travels(
    ray_cluster: RayCluster,
) -> None:
    async with connected(ray_cluster) as pool:
        # Whichever proxy its connection leads to.
        streams = Streams(pool, 1, 0.02)
        await streams.until(replicas=2)
        await streams.stop()

        assert streams.lost == []
        assert set(pool.replicas.waits_s) >= set(streams.replicas)
        assert len(pool.replicas.waits_s) == 2
        # Until the first list of replicas has arrived, through proxies.
        assert pool.replicas.routes["direct"] > 0


async def test_two_replicas_caption_almost_twice_as_much_as_one(ray_cluster: RayCluster) -> None:
    async with connected(ray_cluster) as pool:
        streams = Streams(pool, 8, 0.2)
        await streams.until(replicas=2)
        begun, before = time.monotonic(), len(streams.times)
        await asyncio.sleep(4)
        rate = (len(streams.times) - before) / (time.monotonic() - begun)
        await streams.stop()

    # One takes 0.2 s for a caption.
    assert rate >= 1.6 / 0.2


async def test_captions_go_on_when_a_node_is_killed(ray_cluster: RayCluster) -> None:
    async with connected(ray_cluster) as pool:
        streams = Streams(pool, 8, 0.05)
        await streams.until(replicas=2)
        before = set(streams.replicas)
        await ray_cluster.kill_node()
        await asyncio.sleep(3)
        await streams.until(replicas=2)
        await streams.stop()
        await ray_cluster.add_node()

        assert len(before & set(streams.replicas)) == 1
        assert streams.longest_gap_s < MAX_GAP_S
        streams.check_lost()


async def test_the_requests_of_a_killed_replica_are_answered_by_another(
    ray_cluster: RayCluster,
) -> None:
    async with connected(ray_cluster) as pool:
        streams = Streams(pool, 8, 0.05)
        await streams.until(replicas=2)
        killed = next(iter(streams.replicas))
        await ray_cluster.kill_replica(killed)
        await asyncio.sleep(2)
        await streams.until(replicas=2)
        await streams.stop()

        streams.check_lost()
        assert killed not in streams.replicas
        assert streams.longest_gap_s < MAX_GAP_S
        assert pool.replicas.failures["repeated"] > 0


async def test_a_replica_whose_captioner_is_lost_is_replaced(ray_cluster: RayCluster) -> None:
    async with connected(ray_cluster) as pool:
        streams = Streams(pool, 4, 0.05)
        await streams.until(replicas=2)
        before = set(streams.replicas)
        # It is repeated, so both replicas may be lost.
        with pytest.raises(EngineUnavailable):
            await pool.caption_frame(FrameRequest(LOSING_IMAGE))
        await asyncio.sleep(1)
        await streams.until(replicas=2)
        await streams.stop()

        assert set(streams.replicas) - before


async def test_clients_without_the_secret_are_refused(ray_cluster: RayCluster) -> None:
    async with pool_of(ray_cluster.url, secret="xyzzy-0123456789abc") as pool:
        with pytest.raises(EngineUnavailable, match="secret of the pool"):
            await pool.wait_loaded()


async def test_the_command_deploys_the_captioner_of_the_settings(
    ray_cluster: RayCluster, engine: Engine, tmp_path: Path
) -> None:
    config = tmp_path / "sightline.toml"
    config.write_text(
        f'[engine]\nkind = "ray"\naddress = "{ray_cluster.url}"\nport = {ray_cluster.port}\n'
        f'secret = "{SECRET}"\ncluster = "{ray_cluster.address}"\ncpus = 0.5\n'
    )
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "server.py", "pool", "--config", str(config)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await command.communicate()

    assert command.returncode == 0, errors.decode()
    assert engine.info
    lines = output.decode().splitlines()
    assert "sightline: 1 replica is ready" in lines
    assert lines[-1] == f"sightline: captioner {engine.info.name} answers at {ray_cluster.url}"
    async with connected(ray_cluster) as pool:
        assert pool.info and pool.info.fingerprint == engine.info.fingerprint
        for image in photographs(260):
            found, state = await pool.caption_frame(FrameRequest(image))
            own, own_state = await engine.caption_frame(FrameRequest(image))
            assert (found.text, found.words) == (own.text, own.words)
            assert state.tokens == own_state.tokens
