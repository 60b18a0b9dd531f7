"""Periodic samples of the resources of a server and its engine."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field

import psutil

from tests.soak.clients import SimulatedClients
from tests.support.servers.server_process import ServerProcess

MAX_GROWTH = {
    "server memory, MB": 4.0,
    "engine memory, MB": 8.0,
    "server threads": 0.5,
    "engine threads": 0.5,
    "server descriptors": 0.5,
    "engine descriptors": 0.5,
    "caption age, ms": 20.0,
}
"""Growth per hour that counts as none: of memory, about a hundredth of what is in use."""
PERIOD_S = 5.0
_MEGABYTE = 1e6


@dataclass(slots=True)
class Samples:
    """Samples by quantity, with the monotonic time of each in seconds."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        """Add a sample of a quantity, taken now."""
        self.seconds.setdefault(name, []).append(time.monotonic())
        self.values.setdefault(name, []).append(value)


async def sample(server: ServerProcess, clients: SimulatedClients, samples: Samples) -> None:
    """Add samples until cancelled."""
    while True:
        await asyncio.sleep(PERIOD_S)
        for name, value in (await asyncio.to_thread(_resources, server)).items():
            samples.add(name, value)
        if ages := clients.take_ages():
            samples.add("caption age, ms", 1e3 * sum(ages) / len(ages))


def _resources(server: ServerProcess) -> dict[str, float]:
    """Return the resources in use, without those of a process that has just exited."""
    resources: dict[str, float] = {}
    processes = {"server": psutil.Process(server.pid), "engine": server.engine}
    for name, process in processes.items():
        if process is None:
            continue
        with contextlib.suppress(psutil.NoSuchProcess):
            # PSS counts memory shared with other processes proportionally (proc(5), smaps).
            resources[f"{name} memory, MB"] = process.memory_full_info().pss / _MEGABYTE
            resources[f"{name} threads"] = process.num_threads()
            resources[f"{name} descriptors"] = process.num_fds()
    return resources
