"""Four feeds to watch: the demo, a file, a camera on the network, and one that is published."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from stream.ice.addresses import MediaAddresses
from tests.bench.capacity_load import HEIGHT, INTERVAL_S, RATE, SENDS_BPS, WIDTH
from tests.bench.encoded_footage import encode_footage
from tests.bench.footage import footage_path
from tests.bench.replayed_camera import ReplayedCamera
from tests.support.rtsp_camera import RtspCamera
from tests.support.running_server import RunningServer

CAMERA, PUBLISHED = "ball", "door"
FEEDS = ("demo", "street", CAMERA, PUBLISHED)


class Scene:
    """A server with its feeds."""

    def __init__(self, server: RunningServer, camera: RtspCamera) -> None:
        """Take over a server, and the camera of one of its feeds."""
        self.server, self.camera = server, camera

    @classmethod
    @contextlib.asynccontextmanager
    async def begun(cls, program: Sequence[str] = ("server.py",)) -> AsyncIterator["Scene"]:
        """Run it for as long as the context lasts.

        Args:
            program: As `RunningServer.started` takes it.
        """
        pictures = encode_footage(footage_path(), WIDTH, HEIGHT, RATE, SENDS_BPS)
        addresses = MediaAddresses("127.0.0.1")
        try:
            with RtspCamera() as camera:
                config = _config(camera.url)
                async with RunningServer.started(config=config, program=program) as server:
                    await server.wait_ready()
                    published = ReplayedCamera(server.url, pictures, RATE, INTERVAL_S)
                    await published.open(publish=PUBLISHED)
                    try:
                        yield cls(server, camera)
                    finally:
                        await published.close()
        finally:
            addresses.release()


def _config(camera: str) -> str:
    return f"""
[feeds.demo]
source = "demo"
[feeds.street]
source = "{footage_path()}"
[feeds.{CAMERA}]
source = "{camera}"
"""
