import asyncio
import ctypes
import sys

import psutil
import pytest

from stream import process_memory as memory

BLOCK, COUNT = 64 * 1024, 2000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tests glibc's allocator")
async def test_freed_memory_is_returned_to_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_TRIM_INTERVAL_S", 0.05)
    process, c = psutil.Process(), ctypes.CDLL(None)
    c.malloc.restype, c.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    c.free.argtypes = [ctypes.c_void_p]
    blocks = [c.malloc(BLOCK) for _ in range(COUNT)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    # The last block keeps the others from being trimmed: the allocator only shrinks the end of the
    # heap by itself.
    for block in blocks[:-1]:
        c.free(block)
    held = process.memory_info().rss

    trimming = asyncio.create_task(memory.trim_periodically())
    async with asyncio.timeout(10):
        while process.memory_info().rss > held - BLOCK * COUNT // 2:
            await asyncio.sleep(0.05)
    trimming.cancel()
    await asyncio.gather(trimming, return_exceptions=True)
    c.free(blocks[-1])

    assert trimming.cancelled()
