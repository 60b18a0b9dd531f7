"""Ingest of a stream's frames: the latest one for the returned video and for the captioner."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from stream.sources.source import Source, SourceError
from stream.video import Frame, Slot


class IngestEnded(Exception):
    """No more frames will arrive; the message says why."""


@dataclass(frozen=True, slots=True)
class OversizedFrame:
    """A frame of a peer's track that was not decoded, because it is larger than the limit."""

    width: int
    height: int
    max_pixels: int
    """Maximum width times height."""


class Ingest:
    """The incoming frames of one stream; of each slot only the latest frame is kept."""

    def __init__(self) -> None:
        """Start without a frame."""
        self.to_annotate: Slot[Frame] = Slot()
        self.to_share_plain: Slot[Frame] = Slot()
        self.to_caption: Slot[Frame] = Slot()
        self.received = 0
        self.last_frame_at = time.monotonic()
        """When the last frame arrived or, before the first, when this was created; monotonic
        clock."""

    def put(self, frame: Frame) -> None:
        """Add a new frame."""
        self.received += 1
        self.last_frame_at = time.monotonic()
        self.put_in_video(frame)
        self.to_caption.put(frame)

    def put_in_video(self, frame: Frame) -> None:
        """Show a frame in the stream's video without captioning it."""
        self.to_annotate.put(frame)
        self.to_share_plain.put(frame)


async def ingest_track(track: MediaStreamTrack, ingest: Ingest) -> None:
    """Ingest the video that a peer sends, until its track ends.

    The track is always read as fast as frames arrive, because its own queue is unbounded.

    Raises:
        IngestEnded: When the track ends, or its frames are too large.
    """
    while True:
        try:
            image = await track.recv()
        except MediaStreamError as problem:
            raise IngestEnded("the camera's video track ended") from problem
        if isinstance(image, OversizedFrame):
            raise IngestEnded(
                f"the video has frames of {image.width}x{image.height} pixels, more than the limit "
                f"of {image.max_pixels / 1e6:.1f} million; send smaller frames"
            )
        if isinstance(image, av.VideoFrame):
            ingest.put(Frame(image))


async def ingest_source(source: Source, ingest: Ingest) -> None:
    """Ingest the frames of a source, which a dedicated thread reads; close it at the end.

    Raises:
        IngestEnded: When the source ends or fails; of a failure the cause is the SourceError.
    """
    loop = asyncio.get_running_loop()

    def read() -> SourceError | None:
        try:
            for frame in source.frames():
                loop.call_soon_threadsafe(ingest.put, frame.to_frame())
        except SourceError as problem:
            return problem
        return None

    # Not the loop's default executor: reading for hours would occupy a thread that encoding needs.
    thread = ThreadPoolExecutor(1, "source")
    reading = loop.run_in_executor(thread, read)
    try:
        problem = await asyncio.shield(reading)
    finally:
        await asyncio.to_thread(source.close)
        await reading
        thread.shutdown(wait=False)
    raise IngestEnded(str(problem or "the source ended")) from problem
