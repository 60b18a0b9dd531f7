"""What a server and its engine hold, again and again."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field

import psutil

from tests.soak.audience import Audience
from tests.support.running_server import RunningServer

TRIVIAL = {
    "server memory, MB": 4.0,
    "engine memory, MB": 8.0,
    "server threads": 0.5,
    "engine threads": 0.5,
    "server descriptors": 0.5,
    "engine descriptors": 0.5,
    "caption age, ms": 20.0,
}
"""What each may grow by in an hour and still be flat: less than a hundredth of what is held."""
PERIOD_S = 5.0
_MEGABYTE = 1e6


@dataclass(slots=True)
class Samples:
    """Of each quantity, when it was sampled and what it was."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    values: dict[str, list[float]] = field(default_factory=dict)

    def note(self, name: str, value: float) -> None:
        """Take a sample of a quantity now."""
        self.seconds.setdefault(name, []).append(time.monotonic())
        self.values.setdefault(name, []).append(value)


async def sample(server: RunningServer, audience: Audience, samples: Samples) -> None:
    """Sample until cancelled."""
    while True:
        await asyncio.sleep(PERIOD_S)
        for name, value in (await asyncio.to_thread(_held, server)).items():
            samples.note(name, value)
        if ages := audience.take_ages():
            samples.note("caption age, ms", 1e3 * sum(ages) / len(ages))


def _held(server: RunningServer) -> dict[str, float]:
    """What is held now; nothing of a process that has just ended."""
    found: dict[str, float] = {}
    processes = {"server": psutil.Process(server.pid), "engine": server.engine}
    for name, process in processes.items():
        if process is None:
            continue
        with contextlib.suppress(psutil.NoSuchProcess):
            # What is shared with other processes counts in part, as PSS has it (proc(5), smaps).
            found[f"{name} memory, MB"] = process.memory_full_info().pss / _MEGABYTE
            found[f"{name} threads"] = process.num_threads()
            found[f"{name} descriptors"] = process.num_fds()
    return found
