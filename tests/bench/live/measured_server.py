"""A server that reports its state and the durations of its event loop's callbacks."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.bench.live.callbacks import CallbackTimes
from tests.support.child_process import Message, run_until_stopped, send

HOST = "127.0.0.1"


async def serve(
    app: web.Application,
    wait_ready: Callable[[], Awaitable[None]],
    state: Callable[[], dict[str, Any]],
) -> None:
    """Serve an application on a free port until stopped.

    Sends `url` when ready. The request `{"get": "callbacks"}` returns the times since the last such
    request, `{"get": "state"}` the result of `state`.

    Args:
        app: The application.
        wait_ready: Awaited before the URL is sent.
        state: Returns the state as JSON values.
    """
    callbacks = CallbackTimes()

    def on_message(message: Message) -> None:
        send(**(callbacks.take() if message["get"] == "callbacks" else state()))

    await run_until_stopped(_serve(app, wait_ready), on_message)


async def _serve(app: web.Application, wait_ready: Callable[[], Awaitable[None]]) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        await wait_ready()
        send(url=f"http://{HOST}:{runner.addresses[0][1]}")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
