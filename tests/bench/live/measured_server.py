"""A server of the benchmark: an application on the loopback, measured from inside."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.bench.callbacks import CallbackTimes
from tests.bench.orders import Order, run_until_dismissed, say

HOST = "127.0.0.1"


async def serve(
    app: web.Application, ready: Callable[[], Awaitable[None]], tell: Callable[[], dict[str, Any]]
) -> None:
    """Serve until dismissed.

    Says its `url` when it can be used. Asked to tell its `callbacks`, it answers with how long they
    took since the last time; asked to tell its `state`, with what `tell` returns.
    """
    callbacks = CallbackTimes()

    def obey(order: Order) -> None:
        say(**(callbacks.take() if order["tell"] == "callbacks" else tell()))

    await run_until_dismissed(_serve(app, ready), obey)


async def _serve(app: web.Application, ready: Callable[[], Awaitable[None]]) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        await ready()
        say(url=f"http://{HOST}:{runner.addresses[0][1]}")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
