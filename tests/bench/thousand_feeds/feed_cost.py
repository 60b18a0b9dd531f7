"""Measure what a feed and a caption cost, by a real server with feeds of recorded video.

    python -m tests.bench.thousand_feeds.feed_cost [--seconds 20] [--feeds 5]

The feeds are 1280x720 at 15 frames a second (H.264); nobody watches them. The server runs once with
one feed and once with several; the difference, divided by the feeds more, is what one costs.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import av
from aiohttp import ClientSession

from tests.bench.machine import cpu_seconds, load_average
from tests.support.load.footage import footage_path, read_footage
from tests.support.servers.server_process import ServerProcess

WIDTH, HEIGHT, RATE = 1280, 720, 15
INTERVAL_S = 2.0
_BIT_RATE = 2_000_000
_WARM_UP_S = 6.0


@dataclass(frozen=True, slots=True)
class Level:
    """What a server with some feeds used in a number of seconds."""

    feeds: int
    seconds: float
    server_cpu_s: float
    engine_cpu_s: float
    captions: float
    frames: float


def write_clip(path: Path) -> None:
    """Encode the footage as a camera does."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate, stream.gop_size = _BIT_RATE, 2 * RATE
        stream.options = {"preset": "veryfast", "tune": "zerolatency"}
        for number, frame in enumerate(read_footage(footage_path(), WIDTH, HEIGHT)):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


async def measure(clip: Path, feeds: int, seconds: float) -> Level:
    """Run a server with feeds of a clip for some seconds."""
    config = "standby = false\n" + "".join(
        f'[feeds.camera-{number}]\nsource = "{clip}"\ninterval_s = {INTERVAL_S}\n'
        for number in range(feeds)
    )
    async with ServerProcess.start(config=config) as server, ClientSession() as client:
        await server.wait_ready()
        await asyncio.sleep(_WARM_UP_S)

        async def read() -> tuple[float, float, float, float]:
            async with client.get(f"{server.url}/metrics") as response:
                lines = (await response.text()).splitlines()
            values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
            assert server.engine
            return (
                cpu_seconds(server.pid),
                cpu_seconds(server.engine.pid),
                float(values["sightline_captions_total"]),
                float(values["sightline_frames_received_total"]),
            )

        before = await read()
        await asyncio.sleep(seconds)
        used = [after - start for after, start in zip(await read(), before, strict=True)]
    return Level(feeds, seconds, *used)


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--feeds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder, "clip.mp4")
        write_clip(clip)
        one = asyncio.run(measure(clip, 1, options.seconds))
        many = asyncio.run(measure(clip, options.feeds, options.seconds))
    more = many.feeds - one.feeds
    per_feed = (many.server_cpu_s - one.server_cpu_s) / more / options.seconds
    per_caption = (many.engine_cpu_s - one.engine_cpu_s) / (many.captions - one.captions)
    figures = {
        "server, cores per feed": round(per_feed, 4),
        "engine, CPU ms per caption": round(1000 * per_caption, 1),
        "captions per second": [round(each.captions / each.seconds, 2) for each in (one, many)],
        "frames per second": [round(each.frames / each.seconds, 2) for each in (one, many)],
        "load average": load_average(),
    }
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
