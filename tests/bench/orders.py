"""A process of the benchmark, as it sees the one that started it."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Coroutine
from typing import Any


def say(**message: Any) -> None:
    """Say something to the process that started this one."""
    print(json.dumps(message), flush=True)


async def orders() -> AsyncIterator[dict[str, Any]]:
    """What that process asks for, until it is done or dead."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        while line := await reader.readline():
            yield json.loads(line)
    finally:
        transport.close()


async def run_until_dismissed(work: Coroutine[Any, Any, None]) -> None:
    """Do work, and give it up when the process that started this one is done or dead."""
    working = asyncio.create_task(work)
    waiting = asyncio.create_task(_dismissed())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        working.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        with contextlib.suppress(asyncio.CancelledError):
            await working


async def _dismissed() -> None:
    async for _ in orders():
        pass
