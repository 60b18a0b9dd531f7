"""A server with four feeds: the demo, a file, a network camera, and a published session."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from stream.ice.addresses import MediaAddresses
from tests.support.load.encoded_footage import encode_footage
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


class SoakServer:
    """A server process and the camera of one of its feeds."""

    def __init__(self, process: ServerProcess, camera: GStreamerCamera) -> None:
        """Wrap a running server and a running camera."""
        self.process, self.camera = process, camera

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls, program: Sequence[str] = ("server.py",)) -> AsyncIterator["SoakServer"]:
        """Run the server until the context ends.

        Args:
            program: See `ServerProcess.start`.
        """
        frames = encode_footage(footage_path(), _WIDTH, _HEIGHT, _RATE, _BIT_RATE)
        addresses = MediaAddresses("127.0.0.1")
        try:
            with GStreamerCamera() as camera:
                config = _config(camera.url)
                async with ServerProcess.start(config=config, program=program) as process:
                    await process.wait_ready()
                    published = ReplayedCamera(process.url, frames, _RATE, _INTERVAL_S)
                    await published.open(publish=PUBLISHED)
                    try:
                        yield cls(process, camera)
                    finally:
                        await published.close()
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
