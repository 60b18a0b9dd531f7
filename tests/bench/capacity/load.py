"""The load generator: any number of sessions in one process.

`python -m tests.bench.capacity.load URL`. The message `{"sessions": N}` opens sessions until there
are N and returns `opened` and `problem`; `{"take_counts": true}` returns the `counts` of each
session since the last such message.
"""

import argparse
import asyncio
import dataclasses

from stream.ice.addresses import MediaAddresses
from tests.support.child_process import Message, run_until_stopped, send
from tests.support.load.encoded_footage import encode_footage
from tests.support.load.footage import footage_path
from tests.support.load.replayed_camera import ReplayedCamera

WIDTH, HEIGHT = 640, 480
RATE = 15
"""Frames per second."""
INTERVAL_S = 2.0
"""Interval of captions, in seconds."""
SEND_BPS = 1_000_000
"""Bitrate of each session's video, in bits per second."""


class Load:
    """All sessions of this process."""

    def __init__(self, url: str) -> None:
        """Prepare sessions with the server at a URL."""
        self._url = url
        self._frames = encode_footage(footage_path(), WIDTH, HEIGHT, RATE, SEND_BPS)
        self._addresses = MediaAddresses("127.0.0.1")
        self._cameras: list[ReplayedCamera] = []
        self._opening: asyncio.Task[None] | None = None

    def on_message(self, message: Message) -> None:
        """Handle a message of the parent."""
        if "sessions" in message:
            self._opening = asyncio.create_task(self._open(message["sessions"]))
        else:
            send(counts=[dataclasses.asdict(camera.take()) for camera in self._cameras])

    async def run(self) -> None:
        """Report readiness, and keep the sessions open until cancelled."""
        send(ready=True)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.gather(*(camera.close() for camera in self._cameras))
            self._addresses.release()

    async def _open(self, sessions: int) -> None:
        problem: str | None = None
        try:
            while len(self._cameras) < sessions:
                camera = ReplayedCamera(self._url, self._frames, RATE, INTERVAL_S)
                self._cameras.append(camera)
                await camera.open()
        except Exception as raised:
            problem = repr(raised)
        send(opened=len(self._cameras), problem=problem)


async def _main(url: str) -> None:
    load = Load(url)
    await run_until_stopped(load.run(), load.on_message)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="URL of the server")
    asyncio.run(_main(parser.parse_args().url))
