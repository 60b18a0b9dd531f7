"""A Ray cluster of two nodes on the loopback interface, in processes of its own.

`python -m tests.support.pool.ray_cluster FOLDER` runs it, as a child that `RayCluster` starts.
"""

import contextlib
import json
import os
import queue
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from typing import Any, TextIO

import psutil

from tests.support.child_process import Child

SECRET = "plugh-0123456789abc"
"""Of the pools that are deployed."""

_NODE = "127.0.0.2"
HEALTH_CHECKS = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}
"""As the README advises. By default Ray takes 15 s to notice that a machine is lost."""


class RayCluster:
    """The cluster, as its parent sees it. Serve's proxies listen on one port of both nodes."""

    def __init__(self, child: Child, address: str, port: int) -> None:
        """Wrap a child that has started."""
        self._child, self.address, self.port = child, address, port
        self.url = f"http://127.0.0.1:{port}"

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls) -> AsyncIterator["RayCluster"]:
        """Run the cluster until the context ends."""
        # Not a folder of pytest: the paths of the sockets in it would be too long.
        folder = tempfile.mkdtemp(prefix="ray-")
        try:
            async with Child.start("tests.support.pool.ray_cluster", folder) as child:
                started = await child.receive()
                yield cls(child, started["address"], started["port"])
                await child.request(action="stop")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def deploy(self, replicas: int, captioner: str = "timed") -> list[str]:
        """Deploy a pool, and return what was reported.

        Args:
            replicas: Number of its replicas.
            captioner: `timed`, `shipped`, or a folder.
        """
        answer = await self._child.request(action="deploy", replicas=replicas, captioner=captioner)
        lines: list[str] = answer["reported"]
        return lines

    async def kill_replica(self, name: str) -> None:
        """Kill the process of a replica."""
        await self._child.request(action="kill replica", name=name)

    async def kill_node(self) -> None:
        """Kill all processes of the second node, with its replicas and its proxy."""
        await self._child.request(action="kill node")

    async def add_node(self) -> None:
        """Add a second node again."""
        await self._child.request(action="add node")


def main(folder: str) -> None:
    """Run the cluster, and do what the parent requests."""
    # Ray prints to standard output, which is for messages.
    with os.fdopen(os.dup(1), "w") as messages:
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        os.environ.update(HEALTH_CHECKS, RAY_USAGE_STATS_ENABLED="0", RAY_TMPDIR=folder)
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=_read, args=[lines], daemon=True).start()
        cluster = _Cluster()
        _send(messages, {"address": cluster.address, "port": cluster.port})
        while line := lines.get():
            message = json.loads(line)
            _send(messages, cluster.do(message.pop("action"), message))


def _send(messages: TextIO, message: dict[str, Any]) -> None:
    print(json.dumps(message), file=messages, flush=True)


def _read(lines: "queue.Queue[str]") -> None:
    """Read what the parent sends, and exit with it whatever Ray does; its processes follow."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


class _Cluster:
    def __init__(self) -> None:
        import ray
        from ray.cluster_utils import Cluster

        self._options: dict[str, Any] = {
            # Not 127.0.0.1, which Ray replaces by the machine's other address.
            "node_ip_address": _NODE,
            "num_cpus": 2,
            "object_store_memory": 80_000_000,
        }
        head = {**self._options, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._node = self._cluster.add_node(**self._options)
        self.address, self.port = str(self._cluster.address), _free_port()
        ray.init(self.address, log_to_driver=False, _node_ip_address=_NODE)

    def do(self, action: str, values: dict[str, Any]) -> dict[str, Any]:
        import ray

        match action:
            case "deploy":
                return {"reported": self._deploy(**values)}
            case "kill replica":
                name = f"SERVE_REPLICA::sightline#captioner#{values['name']}"
                ray.kill(ray.get_actor(name, namespace="serve"))
            case "kill node":
                self._kill_node()
            case "add node":
                self._node = self._cluster.add_node(**self._options)
            case "stop":
                ray.shutdown()
                self._cluster.shutdown()  # type: ignore[no-untyped-call]
        return {}

    def _kill_node(self) -> None:
        """Kill all processes of the second node at once, as if its machine had lost power.

        Ray leaves it to the replicas and the proxy to notice that their node is gone.
        """
        raylet = psutil.Process(self._node.all_processes["raylet"][0].process.pid)
        for process in [raylet, *raylet.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._cluster.remove_node(self._node, allow_graceful=False)

    def _deploy(self, replicas: int, captioner: str) -> list[str]:
        from inference.captioner_config import CaptionerConfig
        from inference.pool.cluster import deploy
        from inference.pool.deployment import PoolConfig
        from inference.pool.replica import ReplicaPorts
        from models.catalogue import CaptionerReference
        from tests.support.pool.timed_captioner import TimedCaptioner

        config = PoolConfig(
            captioner=TimedCaptioner(CaptionerReference())
            if captioner == "timed"
            else CaptionerConfig(CaptionerReference.parse(captioner)),
            secret=SECRET,
            min_replicas=replicas,
            max_replicas=replicas,
            gpus=0,
            cpus=0.5,
            ports=ReplicaPorts("127.0.0.1", None),
        )
        reported: list[str] = []
        deploy(config, "127.0.0.1", self.port, reported.append)
        return reported


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main(sys.argv[1])
