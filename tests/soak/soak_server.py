"""A server with four feeds: the demo, a file, a network camera, and a published session."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from aiohttp import ClientError

from stream.ice.addresses import MediaAddresses
from tests.support.load.encoded_footage import EncodedFrame, encode_footage
from tests.support.load.footage import footage_path
from tests.support.load.replayed_camera import ReplayedCamera
from tests.support.servers.gstreamer_camera import GStreamerCamera
from tests.support.servers.server_process import ServerProcess

CAMERA, PUBLISHED = "ball", "door"
FEEDS = ("demo", "street", CAMERA, PUBLISHED)

_WIDTH, _HEIGHT = 640, 480
_RATE = 15
"""Frames per second of the published session."""
_INTERVAL_S = 2.0
"""Its interval of captions, in seconds."""
_BIT_RATE = 1_000_000
"""Its bitrate, in bits per second."""
_PUBLISH_TIMEOUT_S = 10.0
_RETRY_S = 0.2


class SoakServer:
    """A server process and the camera of one of its feeds."""

    def __init__(
        self, process: ServerProcess, camera: GStreamerCamera, frames: list[EncodedFrame]
    ) -> None:
        """Wrap a running server and a running camera.

        Args:
            process: The server.
            camera: The camera of a feed.
            frames: What the published session sends.
        """
        self.process, self.camera = process, camera
        self._frames = frames
        self._published: ReplayedCamera | None = None

    async def publish(self) -> None:
        """Open the published session, in the place of one whose process is gone."""
        await self.unpublish()
        async with asyncio.timeout(_PUBLISH_TIMEOUT_S):
            while True:
                camera = ReplayedCamera(self.process.url, self._frames, _RATE, _INTERVAL_S)
                try:
                    await camera.open(publish=PUBLISHED)
                except ClientError:
                    # The name is taken until the server has noticed.
                    await camera.close()
                    await asyncio.sleep(_RETRY_S)
                else:
                    self._published = camera
                    return

    async def unpublish(self) -> None:
        """Close the published session, if there is one."""
        if self._published:
            await self._published.close()
            self._published = None

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls, program: Sequence[str] = ("server.py",), media_processes: int = 0
    ) -> AsyncIterator["SoakServer"]:
        """Run the server until the context ends.

        Args:
            program: See `ServerProcess.start`.
            media_processes: The same.
        """
        frames = encode_footage(footage_path(), _WIDTH, _HEIGHT, _RATE, _BIT_RATE)
        addresses = MediaAddresses("127.0.0.1")
        try:
            with GStreamerCamera() as camera:
                config = _config(camera.url)
                async with ServerProcess.start(
                    config=config, program=program, media_processes=media_processes
                ) as process:
                    await process.wait_ready()
                    server = cls(process, camera, frames)
                    try:
                        await server.publish()
                        yield server
                    finally:
                        await server.unpublish()
        finally:
            addresses.release()


def _config(camera_url: str) -> str:
    return f"""
[feeds.demo]
source = "demo"
[feeds.street]
source = "{footage_path()}"
[feeds.{CAMERA}]
source = "{camera_url}"
"""
