"""What must not happen, whatever comes in."""

import asyncio
import gc
import logging
import threading
from collections.abc import Callable
from typing import Any

import psutil

_PATIENCE_S = 10.0
"""What a process is given to let go of what it no longer needs."""
_PAUSE_S = 0.1


class Fault(AssertionError):
    """The server did what it must not do."""


class FaultLog(logging.Handler):
    """Keeps what the log says of failures: errors, and whatever carries a traceback."""

    _MOST = 100

    def __init__(self) -> None:
        """Listen to every logger of this process."""
        super().__init__()
        self.faults: list[str] = []
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        logging.getLogger().addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record if it tells of a failure."""
        told = self.format(record)
        failed = record.levelno >= logging.ERROR or record.exc_info or "Traceback" in told
        if failed and len(self.faults) < self._MOST:
            self.faults.append(told)

    def take(self) -> list[str]:
        """Return what was kept since the last time."""
        faults, self.faults = self.faults, []
        return faults


def holdings() -> dict[str, int]:
    """Count what this process holds: tasks, descriptors, threads, and kilobytes of memory."""
    gc.collect()
    process = psutil.Process()
    return {
        "tasks": len(asyncio.all_tasks()),
        "descriptors": process.num_fds(),
        "threads": threading.active_count(),
        "kilobytes": process.memory_full_info().uss // 1024,
    }


async def settled(
    before: dict[str, int],
    spare: dict[str, int],
    count: Callable[[], dict[str, int]] = holdings,
) -> dict[str, Any]:
    """Wait until this process holds no more than before, but for what is to spare.

    Args:
        before: What it held.
        spare: How much more it may hold.
        count: Tells what it holds.

    Returns:
        What it holds more of even so, after some seconds: empty if all is well.
    """
    left: dict[str, Any] = {}
    for _ in range(round(_PATIENCE_S / _PAUSE_S)):
        now = count()
        left = {
            name: f"{before[name]} before, {now[name]} now"
            for name in before
            if now[name] > before[name] + spare.get(name, 0)
        }
        if not left:
            break
        await asyncio.sleep(_PAUSE_S)
    return left
