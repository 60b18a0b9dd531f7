"""Durations of the callbacks of an event loop; while one runs, the loop is blocked."""

import asyncio
import time
from array import array
from typing import Any

import numpy as np

MAX_CALLBACK_MS = 20.0
"""Target for every callback."""

_NAMED_MS = 5.0
"""Callbacks that take longer are listed by name."""
_MAX_NAMED = 20


class CallbackTimes:
    """Measures every callback of this process, in wall-clock time and in its thread's CPU time.

    Wall-clock time also passes while another thread or process has the core or the interpreter's
    lock; CPU time is used by the callback itself.
    """

    def __init__(self) -> None:
        """Start to measure, until the process exits."""
        self._clear()
        self._skip_current = False
        run = asyncio.Handle._run

        def timed(handle: asyncio.Handle) -> None:
            # Read beforehand, because running a handle may clear it.
            callback = handle._callback  # type: ignore[attr-defined]
            started, used = time.perf_counter(), time.thread_time()
            run(handle)
            used = (time.thread_time() - used) * 1e3
            wall = (time.perf_counter() - started) * 1e3
            if self._skip_current:
                self._skip_current = False
                return
            self._wall.append(wall)
            self._cpu.append(used)
            if wall > _NAMED_MS:
                self._named.append((wall, used, _name(callback)))

        asyncio.Handle._run = timed  # type: ignore[method-assign, assignment]

    def take(self) -> dict[str, Any]:
        """Return the times since the last call, in ms, as JSON values.

        The callback that calls this is excluded.
        """
        self._named.sort(reverse=True)
        times = {
            "wall": _summarize(self._wall),
            "cpu": _summarize(self._cpu),
            "longest": [
                {"wall": round(wall, 2), "cpu": round(cpu, 2), "callback": name}
                for wall, cpu, name in self._named[:_MAX_NAMED]
            ],
        }
        self._clear()
        self._skip_current = True
        return times

    def _clear(self) -> None:
        self._wall, self._cpu = array("d"), array("d")
        self._named: list[tuple[float, float, str]] = []


def _summarize(times: "array[float]") -> dict[str, float]:
    if not times:
        return {"count": 0}
    values = np.asarray(times)
    median, p95, p999 = np.percentile(values, [50, 95, 99.9])
    return {
        "count": len(values),
        "median": float(median),
        "p95": float(p95),
        "p99.9": float(p999),
        "maximum": float(values.max()),
        "too_long": int((values > MAX_CALLBACK_MS).sum()),
    }


def _name(callback: Any) -> str:
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        coroutine = owner.get_coro()
        return f"a step of {getattr(coroutine, '__qualname__', coroutine)}"
    return str(getattr(callback, "__qualname__", callback))
