"""A server of the benchmark: an application on the loopback, measured from inside."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.bench.callbacks import CallbackTimes
from tests.bench.orders import orders, say

HOST = "127.0.0.1"


async def serve(
    app: web.Application, ready: Callable[[], Awaitable[object]], tell: Callable[[], dict[str, Any]]
) -> None:
    """Serve until dismissed.

    Says its `url` when it can be used. Asked for `callbacks`, it answers with how long they took
    since the last time; asked for anything else, with what `tell` returns.
    """
    callbacks = CallbackTimes()
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        await ready()
        say(url=f"http://{HOST}:{runner.addresses[0][1]}")
        async for order in orders():
            say(**(callbacks.take() if order["tell"] == "callbacks" else tell()))
    finally:
        await runner.cleanup()
