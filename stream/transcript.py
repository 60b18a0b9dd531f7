"""Captions of any source, one after another, for a terminal or a file."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

from inference.engine import EngineUnavailable
from stream.caption_service import CaptionService
from stream.frame import Frame
from stream.intake import Intake, IntakeEnded, read_source
from stream.sampler import Sampler
from stream.slot import Slot
from stream.sources import Source, SourceError, SourceFrame
from stream.stream_captioner import CaptionedFrame, StreamCaptioner


@dataclass(frozen=True, slots=True)
class TranscriptLine:
    """A caption and where in the source it stands."""

    position_s: float
    """Media time since the source's start."""
    captioned: CaptionedFrame


async def transcribe(
    source: Source, captions: CaptionService, every_s: float
) -> AsyncGenerator[TranscriptLine, None]:
    """Caption a source.

    A live source is sampled by the clock, newest picture first; a recorded one by its media time,
    as fast as the captioner goes, no picture left out that is due.

    Args:
        source: An open source; it is closed at the end.
        captions: What captions the pictures.
        every_s: Seconds from one captioned picture to the next.

    Raises:
        SourceError: If the source fails before its end.
    """
    with ThreadPoolExecutor(2, "transcript") as executor:
        lines = _live if source.live else _recorded
        async with contextlib.aclosing(lines(source, captions, every_s, executor)) as found:
            async for line in found:
                yield line


async def _live(
    source: Source, captions: CaptionService, every_s: float, executor: Executor
) -> AsyncGenerator[TranscriptLine, None]:
    intake = Intake()
    newest: Slot[CaptionedFrame] = Slot()
    sampler = Sampler(intake.to_caption, captions, newest.put, executor, every_s, None)
    sampling = asyncio.create_task(sampler.run())
    reading = asyncio.create_task(read_source(source, intake))
    begun: float | None = None
    try:
        while True:
            taking = asyncio.create_task(newest.take())
            await asyncio.wait({taking, reading, sampling}, return_when=asyncio.FIRST_COMPLETED)
            if not taking.done():
                taking.cancel()
                _raise_failure(reading if reading.done() else sampling)
                return
            captioned = taking.result()
            begun = captioned.frame.captured if begun is None else begun
            yield TranscriptLine(captioned.frame.captured - begun, captioned)
    finally:
        for task in (sampling, reading):
            task.cancel()
        await asyncio.gather(sampling, reading, return_exceptions=True)


def _raise_failure(task: "asyncio.Task[None]") -> None:
    problem = task.exception()
    if isinstance(problem, IntakeEnded):
        if isinstance(problem.__cause__, SourceError):
            raise problem.__cause__
    elif problem:
        raise problem


async def _recorded(
    source: Source, captions: CaptionService, every_s: float, executor: Executor
) -> AsyncGenerator[TranscriptLine, None]:
    loop = asyncio.get_running_loop()
    due = _due(source, every_s)
    captioner = StreamCaptioner(captions, executor)
    try:
        while found := await loop.run_in_executor(executor, next, due, None):
            captioned = await _insist(found, captions, captioner)
            yield TranscriptLine(found.position_s, captioned)
    finally:
        await asyncio.to_thread(source.close)


async def _insist(
    found: SourceFrame, captions: CaptionService, captioner: StreamCaptioner
) -> CaptionedFrame:
    """Caption a picture that will not come again, however often the captioner must restart."""
    frame = Frame(found.image, found.captured)
    while True:
        await captions.wait_ready()
        with contextlib.suppress(EngineUnavailable):
            return await captioner.caption(frame, found.position_s, None)


def _due(source: Source, every_s: float) -> Iterator[SourceFrame]:
    """Of each stretch of `every_s` seconds the first picture."""
    next_s = 0.0
    for frame in source.frames():
        if frame.position_s >= next_s:
            yield frame
            next_s = every_s * (frame.position_s // every_s + 1)
