"""A process of the benchmark, as it sees the one that started it."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Coroutine
from typing import Any

Order = dict[str, Any]


def say(**message: Any) -> None:
    """Say something to the process that started this one."""
    print(json.dumps(message), flush=True)


async def run_until_dismissed(
    work: Coroutine[Any, Any, None], obey: Callable[[Order], None] | None = None
) -> None:
    """Do work, and give it up when the process that started this one is done or dead.

    Args:
        work: It is cancelled when it is to be given up.
        obey: Called with whatever that process orders meanwhile.
    """
    working = asyncio.create_task(work)
    listening = asyncio.create_task(_listen(obey))
    try:
        await asyncio.wait({working, listening}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (working, listening):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening
        with contextlib.suppress(asyncio.CancelledError):
            await working


async def _listen(obey: Callable[[Order], None] | None) -> None:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        while line := await reader.readline():
            if obey:
                obey(json.loads(line))
    finally:
        transport.close()
