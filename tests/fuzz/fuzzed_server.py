"""The fuzzed server: `python -m tests.fuzz.fuzzed_server`.

The whole application on a free port, with a feed, a history, scripted captions, and rate limits
that never apply but short timeouts. It sends its `url` and `routes`. Requests of the parent:

- `{"take_faults": true}` returns the `faults` in its log since the last such request.
- `{"count_resources": true}` returns its `resources`.
- `{"before": RESOURCES, "tolerance": RESOURCES}` returns `leaks`, see `find_leaks`.
"""

import asyncio
import contextlib
import io
import logging
import re
import tempfile
from ipaddress import ip_network
from pathlib import Path

from aiohttp import web

from stream.settings import StreamSettings
from tests.fuzz.faults import FaultLog, count_resources, find_leaks
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.child_process import Message, run_until_stopped, send
from web.app import create_app
from web.service.serving import serve
from web.settings.sections import LimitsSettings
from web.settings.server import ServerSettings

_UNLIMITED = 10_000_000
_POLL_INTERVAL_S = 0.05


def _settings(folder: str) -> ServerSettings:
    return ServerSettings.model_validate(
        {
            "port": 0,
            "feeds": {"hall": {"source": "demo", "run": "watched"}},
            "history": {"path": Path(folder, "history.sqlite")},
            "stream": StreamSettings(
                sessions=1000, connect_s=1, messages_per_s=_UNLIMITED, idle_s=600, vanished_s=30
            ),
            "limits": LimitsSettings(
                connections=_UNLIMITED,
                all_connections=_UNLIMITED,
                requests_per_s=_UNLIMITED,
                all_requests_per_s=_UNLIMITED,
                bytes_per_s=_UNLIMITED,
                all_bytes_per_s=_UNLIMITED,
                image_bytes_per_s=_UNLIMITED,
                all_image_bytes_per_s=_UNLIMITED,
                sessions=_UNLIMITED,
                headers_s=1,
                body_s=1,
                # So that X-Forwarded-... are used.
                proxies=(ip_network("127.0.0.1"),),
            ),
        }
    )


def _routes(settings: ServerSettings) -> list[tuple[str, str]]:
    """Return the methods and paths of the application."""
    app: web.Application = create_app(settings, _captions())
    return [
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "*"
    ]


def _captions() -> ScriptedCaptions:
    return ScriptedCaptions(confident_caption("A dog runs."))


async def _serve(folder: str) -> None:
    settings, output = _settings(folder), io.StringIO()
    routes = _routes(settings)

    async def send_url() -> None:
        while not (match := re.search(r"http://\S+:\d+", output.getvalue())):
            await asyncio.sleep(_POLL_INTERVAL_S)
        redirection.close()
        send(url=match[0], routes=routes)

    with contextlib.ExitStack() as redirection:
        # The server prints its URL for people; the parent expects JSON.
        redirection.enter_context(contextlib.redirect_stdout(output))
        sending = asyncio.create_task(send_url())
        await serve(settings, lambda: settings, _captions())
        await sending


async def _main() -> None:
    logging.getLogger().setLevel(logging.INFO)
    log = FaultLog()
    tasks: set[asyncio.Task[None]] = set()

    async def send_leaks(message: Message) -> None:
        send(leaks=await find_leaks(message["before"], message["tolerance"]))

    def on_message(message: Message) -> None:
        if "before" in message:
            tasks.add(asyncio.create_task(send_leaks(message)))
        elif "count_resources" in message:
            send(resources=count_resources())
        else:
            send(faults=log.take())

    with tempfile.TemporaryDirectory() as folder:
        await run_until_stopped(_serve(folder), on_message)


if __name__ == "__main__":
    asyncio.run(_main())
