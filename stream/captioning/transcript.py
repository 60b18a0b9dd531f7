"""Transcripts: the captions of any source, one after another, formatted as text or JSON Lines."""

import asyncio
import contextlib
import errno
import json
import os
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from inference.captioning import NOT_CALIBRATED
from inference.engine import CaptionService, EngineUnavailable
from stream.captioning.event import CaptionEvent, caption_json, display_text, maps_json
from stream.captioning.sampler import Sampler
from stream.captioning.stream_captioner import CaptionedFrame, StreamCaptioner
from stream.sources import Ingest, IngestEnded, Source, SourceError, SourceFrame, ingest_source
from stream.video import Slot


@dataclass(frozen=True, slots=True)
class TranscriptLine:
    """A captioned frame and its position in the source."""

    position_s: float
    """Media time since the start of the source, in seconds."""
    captioned: CaptionedFrame


async def transcribe(
    source: Source, caption_service: CaptionService, interval_s: float, *, maps: bool = False
) -> AsyncGenerator[TranscriptLine, None]:
    """Caption a source.

    A live source is sampled by the clock, newest frame first. A recorded source is sampled by its
    media time, as fast as the captioner allows, and no sample is left out.

    Args:
        source: An open source; it is closed at the end.
        caption_service: Captions the frames.
        interval_s: Seconds from one captioned frame to the next.
        maps: Whether captions come with word maps, if the captioner computes them with captions.

    Raises:
        SourceError: If the source fails before its end.
    """
    with ThreadPoolExecutor(2, "transcript") as executor:
        transcribe_kind = _transcribe_live if source.live else _transcribe_recorded
        async with contextlib.aclosing(
            transcribe_kind(source, caption_service, interval_s, executor, maps)
        ) as lines:
            async for line in lines:
                yield line


async def _transcribe_live(
    source: Source,
    caption_service: CaptionService,
    interval_s: float,
    executor: Executor,
    maps: bool,
) -> AsyncGenerator[TranscriptLine, None]:
    ingest = Ingest()
    newest: Slot[CaptionedFrame] = Slot()
    sampler = Sampler(
        ingest.to_caption,
        caption_service,
        newest.put,
        executor,
        interval_s,
        beam_width=None,
        maps_due=lambda: maps,
    )
    sampling = asyncio.create_task(sampler.run())
    reading = asyncio.create_task(ingest_source(source, ingest))
    start: float | None = None
    try:
        while True:
            taking = asyncio.create_task(newest.take())
            await asyncio.wait({taking, reading, sampling}, return_when=asyncio.FIRST_COMPLETED)
            if not taking.done():
                taking.cancel()
                _raise_failure(reading if reading.done() else sampling)
                return
            captioned = taking.result()
            captured_s = captioned.frame.captured_boottime
            start = captured_s if start is None else start
            yield TranscriptLine(captured_s - start, captioned)
    finally:
        for task in (sampling, reading):
            task.cancel()
        await asyncio.gather(sampling, reading, return_exceptions=True)


def _raise_failure(task: "asyncio.Task[None]") -> None:
    error = task.exception()
    if isinstance(error, IngestEnded):
        if isinstance(error.__cause__, SourceError):
            raise error.__cause__
    elif error:
        raise error


async def _transcribe_recorded(
    source: Source,
    caption_service: CaptionService,
    interval_s: float,
    executor: Executor,
    maps: bool,
) -> AsyncGenerator[TranscriptLine, None]:
    loop = asyncio.get_running_loop()
    frames = _sample(source, interval_s)
    captioner = StreamCaptioner(caption_service, executor)
    try:
        while frame := await loop.run_in_executor(executor, next, frames, None):
            captioned = await _caption_with_retries(frame, caption_service, captioner, maps)
            yield TranscriptLine(frame.position_s, captioned)
    finally:
        await asyncio.to_thread(source.close)


async def _caption_with_retries(
    source_frame: SourceFrame,
    caption_service: CaptionService,
    captioner: StreamCaptioner,
    maps: bool,
) -> CaptionedFrame:
    """Caption a frame of a recorded source, after as many engine restarts as it takes."""
    frame = source_frame.to_frame()
    while True:
        await caption_service.wait_ready()
        with contextlib.suppress(EngineUnavailable):
            return await captioner.caption(frame, source_frame.position_s, None, maps=maps)


def _sample(source: Source, interval_s: float) -> Iterator[SourceFrame]:
    """Yield the first frame of each interval."""
    next_s = 0.0
    for frame in source.frames():
        if frame.position_s >= next_s:
            yield frame
            next_s = interval_s * (frame.position_s // interval_s + 1)


def is_repeat(previous: TranscriptLine | None, line: TranscriptLine) -> bool:
    """Return whether a line only repeats the caption that was printed before."""
    caption = line.captioned.caption
    return previous is not None and caption.kept and caption.text == previous.captioned.caption.text


def format_line(line: TranscriptLine) -> str:
    """Format position, caption, confidence and tags as text.

    For example `0:03.0  A dog runs  (62% sure; dog 91%)`, or `(not calibrated)`. What the source
    states about the frame follows in brackets.
    """
    minutes, seconds = divmod(line.position_s, 60)
    caption, note = line.captioned.caption, line.captioned.frame.note
    known = caption.confidence
    confidence = NOT_CALIBRATED if known is None else f"{known:.0%} sure"
    if caption.guess:
        confidence += f" of “{caption.guess}”"
    tags = ", ".join(f"{tag.text} {tag.prob:.0%}" for tag in caption.tags)
    details = "; ".join(filter(None, (confidence, tags)))
    text = f"{minutes:3.0f}:{seconds:04.1f}  {display_text(caption)}"
    if caption.fallback != "blank":
        text += f"  ({details})"
    return f"{text}  [{note}]" if note else text


def format_json_line(seq: int, line: TranscriptLine, *, maps: bool = False) -> str:
    """Format a line as the data channel's `caption`, with `position_s` in place of `type`.

    Without `maps` they are null, as those that were not computed.
    """
    event = CaptionEvent.of("transcript", seq, line.captioned)
    heat = maps_json(event.caption) if maps else None
    body = {"position_s": round(line.position_s, 3), **caption_json(event), "maps": heat}
    return json.dumps(body)


def check_writable(path: Path) -> None:
    """Check that a file could be written, without creating or changing it.

    Raises:
        OSError: If it could not be written.
    """
    if path.is_dir():
        code = errno.EISDIR
    elif not path.parent.is_dir():
        code = errno.ENOENT
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        code = errno.EACCES
    else:
        return
    raise OSError(code, os.strerror(code), str(path))
