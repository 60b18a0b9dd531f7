"""The load: so many sessions as are asked for, from one process.

`python -m tests.bench.capacity_load URL`. Told `{"sessions": N}` it opens as many as are missing
and says so; told `{"count": true}` it says what was counted in each since the last time.
"""

import argparse
import asyncio
import dataclasses
from typing import Any

from stream.ice.addresses import MediaAddresses
from tests.bench.encoded_footage import encode_footage
from tests.bench.footage import footage_path
from tests.bench.orders import Order, run_until_dismissed, say
from tests.bench.replayed_camera import ReplayedCamera

WIDTH, HEIGHT = 640, 480
RATE = 15
INTERVAL_S = 2.0
"""Between captions."""
SENDS_BPS = 1_000_000


class Load:
    """All sessions of this process."""

    def __init__(self, url: str) -> None:
        """Prepare to load the server at an URL."""
        self._url = url
        self._pictures = encode_footage(footage_path(), WIDTH, HEIGHT, RATE, SENDS_BPS)
        self._addresses = MediaAddresses("127.0.0.1")
        self._cameras: list[ReplayedCamera] = []
        self._opening: asyncio.Task[None] | None = None

    def obey(self, order: Order) -> None:
        """Do what is ordered, as this module says."""
        if "sessions" in order:
            self._opening = asyncio.create_task(self._open(order["sessions"]))
        else:
            say(counted=[dataclasses.asdict(camera.take()) for camera in self._cameras])

    async def run(self) -> None:
        """Say that orders are welcome, and live until cancelled."""
        say(ready=True)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.gather(*(camera.close() for camera in self._cameras))
            self._addresses.release()

    async def _open(self, sessions: int) -> None:
        problem: str | None = None
        try:
            while len(self._cameras) < sessions:
                camera = ReplayedCamera(self._url, self._pictures, RATE, INTERVAL_S)
                self._cameras.append(camera)
                await camera.open()
        except Exception as raised:
            problem = repr(raised)
        answer: dict[str, Any] = {"opened": len(self._cameras), "problem": problem}
        say(**answer)


async def _main(url: str) -> None:
    load = Load(url)
    await run_until_dismissed(load.run(), load.obey)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="of the server")
    asyncio.run(_main(parser.parse_args().url))
