"""A recording that is played in real time, as a camera would send it."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from stream.sources.source import Source, SourceFrame

LATE_S = 1.0
"""A reader or a disk that is this far behind, in seconds, has play go on from where it is."""

STILL_S = 1.0
"""How long a recording of one picture is on, in seconds; one that is on for longer is given again
as often."""


class PacedSource(Source):
    """Another source, each picture of which comes when it is due."""

    live = True

    def __init__(self, source: Source) -> None:
        """Play a recorded source, which is closed with this one."""
        self.name = source.name
        self._source = source
        self._closed = threading.Event()

    def frames(self) -> Iterator[SourceFrame]:
        """Give each frame when it is due; the last one is on for as long as the one before.

        Raises:
            SourceError: the recording failed before its end.
        """
        started = float("-inf")
        position_s, on_s = 0.0, STILL_S
        shown: SourceFrame | None = None
        for frame in self._source.frames():
            if started + LATE_S < time.monotonic() - frame.position_s:
                started = time.monotonic() - frame.position_s
            elif frame.position_s > position_s:
                on_s = frame.position_s - position_s
            position_s = frame.position_s
            yield from self._again(shown, started + position_s)
            if self._closed.is_set():
                return
            shown = SourceFrame(frame.image, position_s, time.time())
            yield shown
        # No shorter in all than a single picture: whoever plays it again and again has to open it.
        yield from self._again(shown, started + max(position_s + on_s, STILL_S))

    def _again(self, shown: SourceFrame | None, due: float) -> Iterator[SourceFrame]:
        """Wait until the next picture is due, and give the one that is on meanwhile, as it is."""
        while (left_s := due - time.monotonic()) > 0 and not self._closed.wait(
            min(left_s, STILL_S)
        ):
            if shown and left_s > STILL_S:
                yield replace(shown, captured=time.time())

    def close(self) -> None:
        """End `frames`, and close the recording."""
        self._closed.set()
        self._source.close()
