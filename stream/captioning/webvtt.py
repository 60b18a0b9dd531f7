"""WebVTT subtitles (W3C): cues, comments and timestamps, and a writer of whole files."""

from pathlib import Path
from types import TracebackType
from typing import Self

from stream.captioning.event import display_text
from stream.captioning.transcript import TranscriptLine

HEADER = "WEBVTT\n"

_MS_PER_S = 1000


def cue(begin_s: float, end_s: float, text: str) -> str:
    """Format a cue, preceded by an empty line; it lasts at least a millisecond.

    Args:
        begin_s: Start in seconds; negative values become 0.
        end_s: End in seconds.
        text: One line of plain text; markup characters are escaped.
    """
    begin = max(0, round(begin_s * _MS_PER_S))
    end = max(begin + 1, round(end_s * _MS_PER_S))
    return f"\n{timestamp(begin)} --> {timestamp(end)}\n{_escape(text)}\n"


def note(text: str) -> str:
    """Format a one-line comment, preceded by an empty line."""
    return f"\nNOTE {text.replace('-->', '->')}\n"


def timestamp(milliseconds: int, separator: str = ".") -> str:
    """Format a time as `01:02:03.004`, with the separator before the milliseconds."""
    seconds, rest = divmod(milliseconds, _MS_PER_S)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{separator}{rest:03}"


class WebVttWriter:
    """Writes a transcript as a WebVTT file; a context manager."""

    def __init__(self, path: Path, interval_s: float) -> None:
        """Open the file.

        Args:
            path: The file, which is overwritten.
            interval_s: Seconds for which the last caption is shown.

        Raises:
            OSError: If the file cannot be written.
        """
        self._file = path.open("w", encoding="utf-8")
        self._file.write(HEADER)
        self._interval_s = interval_s
        self._shown: TranscriptLine | None = None
        self._last_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown:
            self._write_cue(self._shown, self._last_s + self._interval_s)
        self._file.close()

    def add(self, line: TranscriptLine) -> None:
        """Show a caption from its position on; the same text as before extends its cue."""
        self._last_s = line.position_s
        if self._shown and _text(self._shown) == _text(line):
            return
        if self._shown:
            self._write_cue(self._shown, line.position_s)
        self._shown = line

    def _write_cue(self, line: TranscriptLine, end_s: float) -> None:
        self._file.write(cue(line.position_s, end_s, _text(line)))
        self._file.flush()


def _text(line: TranscriptLine) -> str:
    return display_text(line.captioned.caption)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
