"""Periodic samples of the resources of a server and its engine."""

import asyncio
import contextlib
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

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
            resources[f"{name} memory, MB"] = _anonymous_bytes(process.pid) / _MEGABYTE
            resources[f"{name} threads"] = process.num_threads()
            resources[f"{name} descriptors"] = process.num_fds()
    return resources


def _anonymous_bytes(pid: int) -> int:
    """Return the memory that a process has allocated, in bytes.

    Anonymous pages only (proc(5), smaps_rollup). A process's share of the pages of libraries
    changes whenever an unrelated process that uses the same libraries starts or exits.

    Raises:
        psutil.NoSuchProcess: If it has exited.
    """
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError) as problem:
        raise psutil.NoSuchProcess(pid) from problem
    size = re.search(r"^Anonymous: +(\d+) kB$", text, re.MULTILINE)
    if size is None:
        # It has exited, but its parent has not yet waited for it.
        raise psutil.NoSuchProcess(pid)
    return 1024 * int(size[1])
