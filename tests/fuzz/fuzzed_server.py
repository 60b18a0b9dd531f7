"""The server that strangers write to: `python -m tests.fuzz.fuzzed_server`.

The whole application on a port of the loopback, with a captioner that says one thing, and limits
that let everything through. It says its URL and its routes. Told `{"look": true}` it tells the
failures in its log since the last time, and what it holds; told what it held `before` and what is
to `spare`, what is left of that once everything has had time to end.
"""

import asyncio
import logging
from typing import Any

from aiohttp import web

from stream.settings import StreamSettings
from tests.bench.orders import Order, run_until_dismissed, say
from tests.captions import ScriptedCaptions, sure
from tests.fuzz.faults import FaultLog, holdings, settled
from web.app import create_app
from web.keys import SESSIONS
from web.limits_settings import LimitsSettings
from web.settings import ServerSettings

_PLENTY = 10_000_000
_SETTINGS = ServerSettings(
    stream=StreamSettings(
        sessions=1000, connect_s=1, messages_per_s=_PLENTY, idle_s=600, vanished_s=30
    ),
    limits=LimitsSettings(
        connections=_PLENTY,
        all_connections=_PLENTY,
        requests_per_s=_PLENTY,
        all_requests_per_s=_PLENTY,
        body_bytes_per_s=_PLENTY,
        all_body_bytes_per_s=_PLENTY,
        sessions=_PLENTY,
    ),
)


def _routes(app: web.Application) -> list[tuple[str, str]]:
    """Methods and paths of all that the application answers to."""
    found = []
    for route in app.router.routes():
        if route.resource is not None and route.method != "*":
            found.append((route.method, route.resource.canonical))
    return found


async def _serve(app: web.Application) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        say(url=f"http://127.0.0.1:{runner.addresses[0][1]}", routes=_routes(app))
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def _main() -> None:
    logging.getLogger().setLevel(logging.INFO)
    log = FaultLog()
    app = create_app(_SETTINGS, ScriptedCaptions(sure("A dog runs.")))

    settling: set[asyncio.Task[None]] = set()

    def held() -> dict[str, int]:
        return {**holdings(), "sessions": len(app[SESSIONS])}

    async def settle(order: Order) -> None:
        left: dict[str, Any] = await settled(order["before"], order["spare"], held)
        say(left=left)

    def obey(order: Order) -> None:
        if "before" in order:
            settling.add(asyncio.create_task(settle(order)))
        else:
            say(faults=log.take(), held=held())

    await run_until_dismissed(_serve(app), obey)


if __name__ == "__main__":
    asyncio.run(_main())
