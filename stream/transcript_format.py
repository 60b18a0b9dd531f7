"""How a transcript is written: lines for people, JSON Lines, WebVTT."""

import errno
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from stream import webvtt
from stream.caption_event import CaptionEvent
from stream.caption_json import caption_json
from stream.doubt import in_one_line
from stream.transcript import TranscriptLine


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
