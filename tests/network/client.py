"""The client at one end of a bad line: a camera, and a note of what comes back and when.

`python -m tests.network.viewer URL ADDRESS TOKEN`. It says when it is connected; asked to `take`,
what came since the last time.
"""

import argparse
import asyncio
import contextlib
from typing import Any

from aiohttp import ClientError, ClientSession

from stream.webrtc.jitter_buffer import deliver_promptly
from tests.bench.client import HEIGHT, WIDTH, Camera, Client
from tests.bench.footage import footage_path, read_footage
from tests.bench.orders import Order, run_until_dismissed, say

INTERVAL_S = 0.5
"""Between captions."""
_READY_S = 300.0
_CONNECT_S = 60.0
_PAUSE_S = 0.1
_PICTURES = 60


class Viewer:
    """The connection, and what came of it since it was last asked."""

    def __init__(self, url: str, address: str, token: str) -> None:
        """Prepare to connect to the server at an URL, from an address of this end."""
        # The server's own: what is measured is how it and the line recover, not how aiortc does.
        deliver_promptly()
        self._url, self._camera = (
            url,
            Camera(read_footage(footage_path(), WIDTH, HEIGHT, _PICTURES)),
        )
        self._client = Client(url, self._camera, INTERVAL_S, address, token)

    async def run(self) -> None:
        """Connect, say so, and live until cancelled."""
        await self._wait_ready()
        async with self._client:
            async with asyncio.timeout(_CONNECT_S):
                await self._client.connect()
            say(connected=True)
            await asyncio.Event().wait()

    def obey(self, _: Order) -> None:
        """Tell what came since the last time: of each picture when it was sent and when it came."""
        returned, captions = self._client.returned, self._client.captions
        pictures: list[tuple[float, float]] = [
            (self._camera.sent[number], came) for number, came in returned if number is not None
        ]
        damaged = len(returned) - len(pictures)
        told: dict[str, Any] = {
            "pictures": pictures,
            "damaged": damaged,
            "captions": [(caption["captured"], caption["came"]) for caption in captions],
        }
        self._client.returned, self._client.captions = [], []
        say(**told)

    async def _wait_ready(self) -> None:
        async with asyncio.timeout(_READY_S), ClientSession() as http:
            while True:
                with contextlib.suppress(ClientError):
                    async with http.get(f"{self._url}/readyz") as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(_PAUSE_S)


async def _main(options: argparse.Namespace) -> None:
    viewer = Viewer(options.url, options.address, options.token)
    await run_until_dismissed(viewer.run(), viewer.obey)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="of the server")
    parser.add_argument("address", help="of this end of the line")
    parser.add_argument("token", help="to show to the server")
    asyncio.run(_main(parser.parse_args()))
