"""How long the callbacks of a process's event loop run: while one does, nothing else happens."""

import asyncio
import time
from array import array
from typing import Any

import numpy as np

LONG_MS = 20.0
"""No callback is to take longer."""

_NAMED_MS = 5.0
"""Those that take longer are told by name."""
_MOST_NAMED = 20


class CallbackTimes:
    """Measures every callback of this process, by the clock and in its thread's CPU time.

    The clock goes on while another thread or process has the core or the interpreter's lock; the
    CPU time is what the callback itself used.
    """

    def __init__(self) -> None:
        """Start measuring; it is never stopped."""
        self._clear()
        self._taken = False
        run = asyncio.Handle._run

        def timed(handle: asyncio.Handle) -> None:
            # Asked for before: the handle may forget it.
            callback = handle._callback  # type: ignore[attr-defined]
            begun, used = time.perf_counter(), time.thread_time()
            run(handle)
            used = (time.thread_time() - used) * 1e3
            wall = (time.perf_counter() - begun) * 1e3
            if self._taken:
                # This one was the benchmark's own.
                self._taken = False
                return
            self._wall.append(wall)
            self._cpu.append(used)
            if wall > _NAMED_MS:
                self._named.append((wall, used, _name(callback)))

        asyncio.Handle._run = timed  # type: ignore[method-assign, assignment]

    def take(self) -> dict[str, Any]:
        """Return what was measured since the last time, in ms, as JSON values.

        The callback that calls this is left out.
        """
        self._named.sort(reverse=True)
        taken = {
            "wall": _describe(self._wall),
            "cpu": _describe(self._cpu),
            "longest": [
                {"wall": round(wall, 2), "cpu": round(cpu, 2), "callback": name}
                for wall, cpu, name in self._named[:_MOST_NAMED]
            ],
        }
        self._clear()
        self._taken = True
        return taken

    def _clear(self) -> None:
        self._wall, self._cpu = array("d"), array("d")
        self._named: list[tuple[float, float, str]] = []


def _describe(times: "array[float]") -> dict[str, float]:
    if not times:
        return {"count": 0}
    values = np.asarray(times)
    median, p95, p999 = np.percentile(values, [50, 95, 99.9])
    return {
        "count": len(values),
        "median": float(median),
        "p95": float(p95),
        "p99.9": float(p999),
        "most": float(values.max()),
        "long": int((values > LONG_MS).sum()),
    }


def _name(callback: Any) -> str:
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        coroutine = owner.get_coro()
        return f"a step of {getattr(coroutine, '__qualname__', coroutine)}"
    return str(getattr(callback, "__qualname__", callback))
