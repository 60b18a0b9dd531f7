import asyncio
import ctypes
import sys

import psutil
import pytest

from web.service import serving as memory

BLOCK, COUNT = 64 * 1024, 2000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is meant")
async def test_what_is_free_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_PERIOD_S", 0.05)
    process, c = psutil.Process(), ctypes.CDLL(None)
    c.malloc.restype, c.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    c.free.argtypes = [ctypes.c_void_p]
    blocks = [c.malloc(BLOCK) for _ in range(COUNT)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    # What lies above the free blocks keeps them: the allocator only cuts off at the end.
    for block in blocks[:-1]:
        c.free(block)
    held = process.memory_info().rss

    giving = asyncio.create_task(memory.give_back())
    async with asyncio.timeout(10):
        while process.memory_info().rss > held - BLOCK * COUNT // 2:
            await asyncio.sleep(0.05)
    giving.cancel()
    await asyncio.gather(giving, return_exceptions=True)
    c.free(blocks[-1])

    assert giving.cancelled()
