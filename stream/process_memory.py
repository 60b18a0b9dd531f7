"""Memory of a process with an event loop: short garbage collections, and freed memory returned."""

import asyncio
import ctypes
import gc
from collections.abc import Callable

_TRIM_INTERVAL_S = 60.0


def freeze_loaded_objects() -> None:
    """Exclude everything loaded so far from garbage collection, since it is never freed.

    A full collection blocks the event loop; this shortens it from tens of milliseconds to a few.
    """
    gc.collect()
    gc.freeze()


async def trim_periodically() -> None:
    """Return freed memory to the system every minute, until cancelled; glibc only.

    glibc keeps an arena per thread, each as large as its peak use. Frames take hundreds of
    kilobytes, and many threads allocate them in turn, so the process would keep growing with every
    coincidence of peaks.
    """
    trim = _malloc_trim()
    while trim:
        await asyncio.sleep(_TRIM_INTERVAL_S)
        await asyncio.to_thread(trim, 0)


def _malloc_trim() -> Callable[[int], int] | None:
    """Return `malloc_trim` of the C library, which only glibc has."""
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
