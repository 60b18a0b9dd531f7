"""Cut the network of a captioner pool, and check that captions are back within 5 s.

A real Ray cluster of two nodes, each on a machine of its own (a network namespace) with a replica,
the second of which is added when the load needs it. The server, this process, loses a replica, then
both, then the second machine is lost to all. It needs root, for the namespaces, and takes three
minutes.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import psutil

from inference.captioning import FrameRequest
from inference.engine import EngineUnavailable
from inference.pool import PoolCaptioner
from tests.soak.cluster.machines import Machine, machines
from tests.support.pool.ray_cluster import HEALTH_CHECKS, SECRET
from tests.support.pool.timed_captioner import timed_image
from tests.support.servers.server_process import ROOT

_MAX_GAP_S = 5.0
_STREAMS = 4
"""As many as two replicas are for."""
_CAPTION_S = 0.05
_CUT_S = 8.0
_BACK_S = 60.0
"""For a replica on a machine that is back: Ray starts it anew."""
_PORT, _GCS_PORT = 8000, 6379
_IN_NAMESPACE = "SIGHTLINE_SOAK_NAMESPACE"


class Streams:
    """Streams with a frame in flight each, and what answered them."""

    def __init__(self, pool: PoolCaptioner) -> None:
        """Start them."""
        self._pool = pool
        self.times: list[list[float]] = [[] for _ in range(_STREAMS)]
        """Of each stream's captions, by the monotonic clock."""
        self.replicas: Counter[str] = Counter()
        self._tasks = [asyncio.create_task(self._run(times)) for times in self.times]

    async def _run(self, times: list[float]) -> None:
        while True:
            await self._pool.wait_ready()
            try:
                caption, _ = await self._pool.caption_frame(FrameRequest(timed_image(_CAPTION_S)))
            except EngineUnavailable:
                continue
            times.append(time.monotonic())
            self.replicas[caption.timing_ms.replica] += 1

    async def until(self, condition: Callable[[], bool], seconds: float) -> float:
        """Wait for a condition; return how long it took, in seconds.

        Raises:
            TimeoutError: If it takes longer.
        """
        begun = time.monotonic()
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.05)
        return time.monotonic() - begun

    async def until_replicas(self, count: int, seconds: float) -> float:
        """Wait until so many replicas have answered since now."""
        self.replicas.clear()
        return await self.until(lambda: len(self.replicas) >= count, seconds)

    def longest_gap_s(self, since: float) -> float:
        """Return the longest time without a caption of any stream since then."""
        longest = 0.0
        for times in self.times:
            parts = [since, *(each for each in times if each > since), time.monotonic()]
            longest = max(longest, *(after - before for before, after in pairwise(parts)))
        return longest

    async def stop(self) -> None:
        """End them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Pool:
    """The Ray cluster; its first machine has the head."""

    def __init__(self, nodes: list[Machine], folder: str) -> None:
        """Prepare to start."""
        self._machines = nodes
        self._environment = {
            **os.environ,
            **HEALTH_CHECKS,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_TMPDIR": folder,
            "PYTHONPATH": str(ROOT),
        }
        self._nodes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def head(self) -> str:
        """Address of the Ray cluster."""
        return f"{self._machines[0].address}:{_GCS_PORT}"

    def start(self, machine: Machine) -> None:
        """Start the node of a machine."""
        options = ["--block", f"--node-ip-address={machine.address}", "--num-cpus=1"]
        options.append("--object-store-memory=80000000")
        if machine is self._machines[0]:
            options += ["--head", f"--port={_GCS_PORT}", "--include-dashboard=false"]
        else:
            options.append(f"--address={self.head}")
        ray = str(Path(sys.executable).with_name("ray"))
        self._nodes[machine.number] = subprocess.Popen(
            [*machine.prefix, ray, "start", *options],
            env=self._environment,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop(self, machine: Machine) -> None:
        """Stop the node of a machine, as when it restarts."""
        node = self._nodes.pop(machine.number)
        processes = psutil.Process(node.pid).children(recursive=True)
        node.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            node.wait(15)
        # Ray leaves some of them to end by themselves, minutes later.
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        node.kill()
        node.wait()

    def deploy(self) -> None:
        """Deploy a pool of one replica, or two by load."""
        machine = self._machines[0]
        command = [*machine.prefix, sys.executable, "-m", "tests.soak.pool.deploy"]
        arguments = [self.head, machine.address, str(_PORT)]
        subprocess.run([*command, *arguments], env=self._environment, cwd=ROOT, check=True)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run all nodes until the context ends."""
        try:
            self.start(self._machines[0])
            time.sleep(8)
            for machine in self._machines[1:]:
                self.start(machine)
            time.sleep(5)
            self.deploy()
            yield
        finally:
            for machine in self._machines:
                if machine.number in self._nodes:
                    self.stop(machine)


@asynccontextmanager
async def _client(nodes: list[Machine]) -> AsyncIterator[PoolCaptioner]:
    addresses = [f"http://{machine.address}:{_PORT}" for machine in nodes]
    pool = PoolCaptioner(addresses, secret=SECRET, insecure=True)
    pool.start()
    try:
        await pool.wait_ready()
        yield pool
    finally:
        await pool.stop()


async def soak(nodes: list[Machine], cluster: Pool) -> list[str]:
    """Cut the network in three ways; return what failed."""
    failures: list[str] = []
    second = nodes[1]

    def check(what: str, gap_s: float) -> None:
        print(f"{what}: {gap_s:.1f} s without a caption", flush=True)
        if gap_s > _MAX_GAP_S:
            failures.append(f"{what}: {gap_s:.1f} s without a caption")

    async with _client(nodes) as pool:
        streams = Streams(pool)
        try:
            # Autoscaling, by requests that Serve does not see.
            took_s = await streams.until_replicas(2, _BACK_S)
            print(
                f"a second replica answers after {took_s:.1f} s with {_STREAMS} streams", flush=True
            )
            await asyncio.sleep(3)
            if not pool.replicas.routes["direct"]:
                failures.append("replicas were not reached directly")

            begun = time.monotonic()
            second.cut_from_server()
            await asyncio.sleep(_CUT_S)
            # Through the proxy of the first machine.
            took_s = await streams.until_replicas(2, _BACK_S)
            print(f"the replica answers through a proxy {took_s + _CUT_S:.1f} s after the cut")
            check("server cut from a replica", streams.longest_gap_s(begun))
            begun = time.monotonic()
            second.mend_to_server()
            await asyncio.sleep(3)
            proxy = pool.replicas.routes["proxy"]
            await asyncio.sleep(2)
            if pool.replicas.routes["proxy"] > proxy:
                failures.append("requests still go through proxies after the cut")
            check("the replica's network mended", streams.longest_gap_s(begun))

            for machine in nodes:
                machine.cut_from_server()
            await asyncio.sleep(_CUT_S)
            begun = time.monotonic()
            for machine in nodes:
                machine.mend_to_server()
            await asyncio.sleep(_MAX_GAP_S + 1)
            check("the pool's network mended", streams.longest_gap_s(begun))
            await streams.until_replicas(2, _BACK_S)

            begun = time.monotonic()
            second.cut_clients()
            await asyncio.sleep(_CUT_S)
            check("machine lost", streams.longest_gap_s(begun))
            second.mend_clients()
            # Ray ends a node that it took for dead, and whoever started it does so anew.
            await asyncio.to_thread(cluster.stop, second)
            cluster.start(second)
            took_s = await streams.until_replicas(2, _BACK_S)
            print(f"its replica answers {took_s:.1f} s after it was started anew", flush=True)
            check("machine lost and back", streams.longest_gap_s(begun))
        finally:
            await streams.stop()
    return failures


def main() -> int:
    """Run the command line; return its exit status."""
    if _IN_NAMESPACE not in os.environ:
        if os.geteuid():
            print("network namespaces need root; run this as root", file=sys.stderr)
            return 2
        command = ["unshare", "--net", sys.executable, "-m", "tests.soak.pool"]
        os.execvpe("unshare", command, {**os.environ, _IN_NAMESPACE: "1"})
    # Not a folder of the repository: the paths of Ray's sockets in it would be too long.
    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
        machines(2) as nodes,
    ):
        cluster = Pool(nodes, folder)
        with cluster.running():
            failures = asyncio.run(soak(nodes, cluster))
    for each in failures:
        print(f"FAILED: {each}")
    print("" if failures else "All met.")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
