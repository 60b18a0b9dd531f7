"""The pictures of a session, as they come: one slot for the returned video, one for captions."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from stream.sources.source import Source, SourceError
from stream.video import Frame, Slot


class IntakeEnded(Exception):
    """No more pictures come; the message says why."""


class Intake:
    """Where the pictures of one session arrive."""

    def __init__(self) -> None:
        """Start with no picture."""
        self.to_return: Slot[Frame] = Slot()
        self.to_caption: Slot[Frame] = Slot()
        self.received = 0
        self.newest_at = time.monotonic()
        """When the last picture came, or the intake was made, on the monotonic clock."""

    def put(self, frame: Frame) -> None:
        """Take in a new picture."""
        self.received += 1
        self.newest_at = time.monotonic()
        self.to_return.put(frame)
        self.to_caption.put(frame)


async def read_track(track: MediaStreamTrack, intake: Intake) -> None:
    """Take in what a peer sends, until the peer stops.

    A track is read as fast as it comes whatever happens to the pictures: its own queue has no
    bound.

    Raises:
        IntakeEnded: When the track ends.
    """
    while True:
        try:
            image = await track.recv()
        except MediaStreamError as problem:
            raise IntakeEnded("the camera's track ended") from problem
        if isinstance(image, av.VideoFrame):
            intake.put(Frame(image, time.time()))


async def read_source(source: Source, intake: Intake) -> None:
    """Take in what a source yields, read in a thread of its own.

    Raises:
        IntakeEnded: When the source ends or fails.
    """
    loop = asyncio.get_running_loop()

    def read() -> str:
        try:
            for frame in source.frames():
                loop.call_soon_threadsafe(intake.put, Frame(frame.image, frame.captured))
        except SourceError as problem:
            return str(problem)
        return "the source ended"

    # Not the loop's own executor: whoever reads for hours would leave none to encode.
    thread = ThreadPoolExecutor(1, "source")
    reading = loop.run_in_executor(thread, read)
    try:
        reason = await asyncio.shield(reading)
    finally:
        await asyncio.to_thread(source.close)
        await reading
        thread.shutdown(wait=False)
    raise IntakeEnded(reason)
