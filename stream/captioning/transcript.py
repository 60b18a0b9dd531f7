"""Captions of any source, one after another, for a terminal or a file.

How a transcript is written: lines for people, JSON Lines, WebVTT.
"""

import asyncio
import contextlib
import errno
import json
import os
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from inference.engine import CaptionService, EngineUnavailable
from stream.captioning import webvtt
from stream.captioning.event import CaptionEvent, caption_json, in_one_line
from stream.captioning.sampler import Sampler
from stream.captioning.stream_captioner import CaptionedFrame, StreamCaptioner
from stream.sources import Intake, IntakeEnded, Source, SourceError, SourceFrame, read_source
from stream.video import Frame, Slot


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


def line_for_people(line: TranscriptLine) -> str:
    """`0:03.0  A dog runs  (62% sure; dog 91%)`: position, caption, confidence, tags."""
    minutes, seconds = divmod(line.position_s, 60)
    caption = line.captioned.caption
    sure = f"{caption.confidence:.0%} sure"
    if caption.guess:
        sure += f" of “{caption.guess}”"
    tags = ", ".join(f"{tag.text} {tag.prob:.0%}" for tag in caption.tags)
    about = "; ".join(filter(None, (sure, tags)))
    return f"{minutes:3.0f}:{seconds:04.1f}  {in_one_line(caption)}  ({about})"


def lasts_on(shown: TranscriptLine | None, line: TranscriptLine) -> bool:
    """Whether a line says no more than that what was shown last still holds."""
    caption = line.captioned.caption
    return shown is not None and caption.kept and caption.text == shown.captioned.caption.text


def json_line(seq: int, line: TranscriptLine) -> str:
    """The caption as on the data channel, with its position for its type; kept ones too."""
    event = CaptionEvent.of("transcript", seq, line.captioned)
    body = {"position_s": round(line.position_s, 3), **caption_json(event), "maps": None}
    return json.dumps(body)


class WebVtt:
    """Subtitles as a WebVTT file (W3C), each shown until the next; a context manager."""

    def __init__(self, path: Path, every_s: float) -> None:
        """Write to a file; the last caption is shown for `every_s` seconds.

        Raises:
            OSError: If the file cannot be written.
        """
        self._file = path.open("w", encoding="utf-8")
        self._file.write(webvtt.HEADER)
        self._every_s = every_s
        self._shown: TranscriptLine | None = None
        self._last_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown:
            self._write_cue(self._shown, self._last_s + self._every_s)
        self._file.close()

    def add(self, line: TranscriptLine) -> None:
        """Show this caption from its position on; the same words begin no new subtitle."""
        self._last_s = line.position_s
        if self._shown and _words(self._shown) == _words(line):
            return
        if self._shown:
            self._write_cue(self._shown, line.position_s)
        self._shown = line

    def _write_cue(self, line: TranscriptLine, end_s: float) -> None:
        self._file.write(webvtt.cue(line.position_s, end_s, _words(line)))
        self._file.flush()


def check_writable(path: Path) -> None:
    """See whether a file could be written, and leave everything as it is.

    Raises:
        OSError: If it could not be.
    """
    if path.is_dir():
        problem = errno.EISDIR
    elif not path.parent.is_dir():
        problem = errno.ENOENT
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        problem = errno.EACCES
    else:
        return
    raise OSError(problem, os.strerror(problem), str(path))


def _words(line: TranscriptLine) -> str:
    return in_one_line(line.captioned.caption)
