"""Detection of faults: errors in the log, and leaked resources."""

import asyncio
import gc
import logging
import threading
from collections.abc import Callable
from typing import Any

import psutil

_RELEASE_TIMEOUT_S = 10.0
"""How long a process may take to release resources."""
_POLL_INTERVAL_S = 0.1


class Fault(AssertionError):
    """The server reacted to input in a way that it must not."""


class FaultLog(logging.Handler):
    """Collects log records that report a failure: errors, and anything with a traceback."""

    _MAX_FAULTS = 100

    def __init__(self) -> None:
        """Attach to the root logger."""
        super().__init__()
        self.faults: list[str] = []
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        logging.getLogger().addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Collect a record if it reports a failure."""
        text = self.format(record)
        failed = record.levelno >= logging.ERROR or record.exc_info or "Traceback" in text
        if failed and len(self.faults) < self._MAX_FAULTS:
            self.faults.append(text)

    def take(self) -> list[str]:
        """Return the records since the last call."""
        faults, self.faults = self.faults, []
        return faults


def count_resources() -> dict[str, int]:
    """Count this process's tasks, descriptors, threads, and kilobytes of memory (USS)."""
    gc.collect()
    process = psutil.Process()
    return {
        "tasks": len(asyncio.all_tasks()),
        "descriptors": process.num_fds(),
        "threads": threading.active_count(),
        "kilobytes": process.memory_full_info().uss // 1024,
    }


async def find_leaks(
    before: dict[str, int],
    tolerance: dict[str, int],
    count: Callable[[], dict[str, int]] = count_resources,
) -> dict[str, Any]:
    """Wait until this process uses no more resources than before.

    Args:
        before: Resources in use before.
        tolerance: How much more may be in use; 0 for resources that it lacks.
        count: Counts the resources in use.

    Returns:
        Descriptions of the resources still in use after some seconds; empty if there are none.
    """
    leaks: dict[str, Any] = {}
    for _ in range(round(_RELEASE_TIMEOUT_S / _POLL_INTERVAL_S)):
        now = count()
        leaks = {
            name: f"{before[name]} before, {now[name]} now"
            for name in before
            if now[name] > before[name] + tolerance.get(name, 0)
        }
        if not leaks:
            break
        await asyncio.sleep(_POLL_INTERVAL_S)
    return leaks
