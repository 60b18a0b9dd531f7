"""The server under test: `python -m tests.bench.sightline_server CAPTIONER`."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from stream.sources.intake import Intake
from stream.video.frame import Frame
from tests.bench.client import TICKS
from tests.bench.frame_number import read
from tests.bench.serving import HOST, serve
from web.app import create_app
from web.keys import ENGINE, SESSIONS
from web.settings.server import read_settings


class FirstPictures:
    """Finds out how far the server's timestamps are behind the client's.

    A receiver of aiortc counts them from the first picture that it gets, and which one that is,
    only its number tells. It is read once in a session.
    """

    behind = 0
    """Of the newest session, in 1/90000 s."""

    def __init__(self) -> None:
        """Look at the first picture of every intake from now on."""
        self._seen: Intake | None = None
        put = Intake.put

        def look(intake: Intake, frame: Frame) -> None:
            if intake is not self._seen and (number := read(frame.image)) is not None:
                self._seen = intake
                self.behind = number * TICKS - (frame.image.pts or 0)
            put(intake, frame)

        Intake.put = look  # type: ignore[method-assign, assignment]


async def main(captioner: Path) -> None:
    """Serve the application as `server.py` does."""
    app = create_app(read_settings(None, {"captioner": captioner, "host": HOST}))
    first = FirstPictures()

    def tell() -> dict[str, Any]:
        engine = app[ENGINE]
        return {
            "sessions": len(app[SESSIONS]),
            "behind": first.behind,
            "engine": engine.pid,
            "engine_starts": engine.starts,
        }

    await serve(app, lambda: app[ENGINE].wait_loaded(), tell)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
