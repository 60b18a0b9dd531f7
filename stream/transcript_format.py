"""How a transcript is written: lines for people, JSON Lines, WebVTT."""

import json
from pathlib import Path
from types import TracebackType
from typing import Self

from stream import messages
from stream.transcript import TranscriptLine


def line_for_people(line: TranscriptLine) -> str:
    """`0:03.0  A dog runs  62 %`: position, caption, confidence."""
    minutes, seconds = divmod(line.position_s, 60)
    caption = line.captioned.caption
    return f"{minutes:3.0f}:{seconds:04.1f}  {caption.text}  ({caption.confidence:.0%} sure)"


def json_line(seq: int, line: TranscriptLine) -> str:
    """The caption as on the data channel, with its position for its type."""
    message = messages.caption(seq, line.captioned)
    del message["type"]
    return json.dumps({"position_s": round(line.position_s, 3), **message})


class WebVtt:
    """Subtitles as a WebVTT file (W3C), each shown until the next; a context manager."""

    def __init__(self, path: Path, every_s: float) -> None:
        """Write to a file; the last caption is shown for `every_s` seconds.

        Raises:
            OSError: If the file cannot be written.
        """
        self._file = path.open("w", encoding="utf-8")
        self._file.write("WEBVTT\n")
        self._every_s = every_s
        self._shown: TranscriptLine | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown:
            self._write_cue(self._shown, self._shown.position_s + self._every_s)
        self._file.close()

    def add(self, line: TranscriptLine) -> None:
        """Show this caption from its position on."""
        if self._shown:
            self._write_cue(self._shown, line.position_s)
        self._shown = line

    def _write_cue(self, line: TranscriptLine, end_s: float) -> None:
        begin, end = _timestamp(line.position_s), _timestamp(end_s)
        self._file.write(f"\n{begin} --> {end}\n{line.captioned.caption.text}\n")
        self._file.flush()


def _timestamp(seconds: float) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{milliseconds:03}"
