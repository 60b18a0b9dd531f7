"""The client at one endpoint of the link: it sends video and records what is returned.

`python -m tests.network.client URL ADDRESS TOKEN`. Sends `connected` when it is; any message then
returns what arrived since the last one.
"""

import argparse
import asyncio
import contextlib

from aiohttp import ClientError, ClientSession

from stream.webrtc.jitter_buffer import use_low_latency_jitter_buffer
from tests.support.child_process import Message, run_until_stopped, send
from tests.support.load.footage import footage_path, read_footage
from tests.support.load.round_trip_client import HEIGHT, WIDTH, NumberedCamera, RoundTripClient

INTERVAL_S = 0.5
"""Interval of captions, in seconds."""

_READY_TIMEOUT_S = 300.0
_CONNECT_TIMEOUT_S = 60.0
_POLL_INTERVAL_S = 0.1
_FOOTAGE_FRAMES = 60


class Client:
    """A connection, and what arrived since the last message of the parent."""

    def __init__(self, url: str, address: str, token: str) -> None:
        """Prepare to connect to the server at a URL from a local address."""
        # The server's own: the recovery of server and link is measured, not aiortc's.
        use_low_latency_jitter_buffer()
        footage = read_footage(footage_path(), WIDTH, HEIGHT, _FOOTAGE_FRAMES)
        self._url, self._camera = url, NumberedCamera(footage)
        self._client = RoundTripClient(url, self._camera, INTERVAL_S, address, token)

    async def run(self) -> None:
        """Connect, report it, and stay connected until cancelled."""
        await self._wait_ready()
        async with self._client:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await self._client.connect()
            send(connected=True)
            await asyncio.Event().wait()

    def on_message(self, _: Message) -> None:
        """Send the `frames` and `captions` since the last message, and the damaged frames' number.

        Each is a pair of Unix times: when the frame was sent or captured, and when it arrived.
        """
        returned, captions = self._client.returned, self._client.captions
        frames = [
            (self._camera.sent[number], received)
            for number, received in returned
            if number is not None
        ]
        self._client.returned, self._client.captions = [], []
        send(
            frames=frames,
            damaged=len(returned) - len(frames),
            captions=[(caption["captured"], caption["received"]) for caption in captions],
        )

    async def _wait_ready(self) -> None:
        async with asyncio.timeout(_READY_TIMEOUT_S), ClientSession() as http:
            while True:
                with contextlib.suppress(ClientError):
                    async with http.get(f"{self._url}/readyz") as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(_POLL_INTERVAL_S)


async def _main(options: argparse.Namespace) -> None:
    client = Client(options.url, options.address, options.token)
    await run_until_stopped(client.run(), client.on_message)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="URL of the server")
    parser.add_argument("address", help="local IP address")
    parser.add_argument("token", help="bearer token")
    asyncio.run(_main(parser.parse_args()))
