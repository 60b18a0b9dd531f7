"""The server that strangers write to: `python -m tests.fuzz.fuzzed_server`.

The whole of it on a port of the loopback: a feed, a history, a captioner that says one thing, and
limits that let everything through, but wait for nobody. It says its URL and its routes. Told
`{"look": true}` it tells the failures in its log since the last time; told to `count`, what it
holds; told what it held `before` and what is to `spare`, what is left of that once everything has
had time to end.
"""

import asyncio
import contextlib
import io
import logging
import re
import tempfile
from pathlib import Path
from typing import Any

from aiohttp import web

from stream.settings import StreamSettings
from tests.bench.orders import Order, run_until_dismissed, say
from tests.fuzz.faults import FaultLog, holdings, settled
from tests.support.captions import ScriptedCaptions, sure
from web.app import create_app
from web.service.serving import serve
from web.settings.sections import LimitsSettings
from web.settings.server import ServerSettings

_PLENTY = 10_000_000
_PAUSE_S = 0.05


def _settings(folder: str) -> ServerSettings:
    return ServerSettings.model_validate(
        {
            "port": 0,
            "feeds": {"hall": {"source": "demo", "run": "watched"}},
            "history": {"path": Path(folder, "history.sqlite")},
            "stream": StreamSettings(
                sessions=1000, connect_s=1, messages_per_s=_PLENTY, idle_s=600, vanished_s=30
            ),
            "limits": LimitsSettings(
                connections=_PLENTY,
                all_connections=_PLENTY,
                requests_per_s=_PLENTY,
                all_requests_per_s=_PLENTY,
                body_bytes_per_s=_PLENTY,
                all_body_bytes_per_s=_PLENTY,
                sessions=_PLENTY,
                headers_s=1,
                body_s=1,
            ),
        }
    )


def _routes(settings: ServerSettings) -> list[tuple[str, str]]:
    """Methods and paths of all that the application answers to."""
    app: web.Application = create_app(settings, _captions())
    return [
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "*"
    ]


def _captions() -> ScriptedCaptions:
    return ScriptedCaptions(sure("A dog runs."))


async def _serve(folder: str) -> None:
    settings, announced = _settings(folder), io.StringIO()
    routes = _routes(settings)

    async def introduce() -> None:
        while not (found := re.search(r"http://\S+:\d+", announced.getvalue())):
            await asyncio.sleep(_PAUSE_S)
        printing.close()
        say(url=found[0], routes=routes)

    with contextlib.ExitStack() as printing:
        # What it announces is for people; here objects are spoken.
        printing.enter_context(contextlib.redirect_stdout(announced))
        introducing = asyncio.create_task(introduce())
        await serve(settings, lambda: settings, _captions())
        await introducing


async def _main() -> None:
    logging.getLogger().setLevel(logging.INFO)
    log = FaultLog()
    settling: set[asyncio.Task[None]] = set()

    async def settle(order: Order) -> None:
        left: dict[str, Any] = await settled(order["before"], order["spare"])
        say(left=left)

    def obey(order: Order) -> None:
        if "before" in order:
            settling.add(asyncio.create_task(settle(order)))
        elif "count" in order:
            say(held=holdings())
        else:
            say(faults=log.take())

    with tempfile.TemporaryDirectory() as folder:
        await run_until_dismissed(_serve(folder), obey)


if __name__ == "__main__":
    asyncio.run(_main())
