"""Memory that is free is given back to the system, which the allocator may not do for weeks."""

import asyncio
import ctypes
from collections.abc import Callable

_PERIOD_S = 60.0


async def give_back() -> None:
    """Give back what is free, again and again until cancelled.

    glibc keeps arenas for a program's threads, each as large as it ever was at once. Pictures are
    hundreds of kilobytes, and many threads take them by turns: what the process holds would creep
    up with every coincidence.
    """
    trim = _trim()
    while trim:
        await asyncio.sleep(_PERIOD_S)
        await asyncio.to_thread(trim, 0)


def _trim() -> Callable[[int], int] | None:
    """The C library's `malloc_trim`, of which others than glibc know nothing."""
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
