"""The measured server: `python -m tests.bench.live.sightline_server CAPTIONER`."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from stream.sources.ingest import Ingest
from stream.video import Frame
from tests.bench.live.measured_server import HOST, serve
from tests.support.load.frame_number import read_number
from tests.support.load.round_trip_client import TICKS_PER_FRAME
from web.app import create_app
from web.keys import ENGINE, MEDIA
from web.settings.server import read_settings


class TimestampOffset:
    """Difference between the client's timestamps and the server's.

    aiortc's receiver counts from the first frame that it receives, which only the number drawn into
    that frame identifies. It is read once per session.
    """

    ticks = 0
    """Of the newest session, in 1/90000 s."""

    def __init__(self) -> None:
        """Inspect the first frame of every ingest from now on."""
        self._ingest: Ingest | None = None
        put = Ingest.put

        def inspect(ingest: Ingest, frame: Frame) -> None:
            if ingest is not self._ingest and (number := read_number(frame.image)) is not None:
                self._ingest = ingest
                self.ticks = number * TICKS_PER_FRAME - (frame.image.pts or 0)
            put(ingest, frame)

        Ingest.put = inspect  # type: ignore[method-assign, assignment]


async def main(captioner: Path) -> None:
    """Serve the application as `server.py` does."""
    app = create_app(read_settings(None, {"captioner": captioner, "host": HOST}))
    offset = TimestampOffset()

    def state() -> dict[str, Any]:
        engine = app[ENGINE]
        return {
            "sessions": len(app[MEDIA].sessions),
            "timestamp_offset": offset.ticks,
            "engine": engine.pid,
            "engine_starts": engine.starts,
        }

    await serve(app, lambda: app[ENGINE].wait_loaded(), state)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
