"""Export of the history as WebVTT, SRT, CSV (RFC 4180) or JSON Lines, in chunks of spans."""

import csv
import io
import json
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from stream.captioning import webvtt
from stream.history.span import Span

_MIN_CUE_S = 1.0
"""Minimum duration of a subtitle, in seconds."""

_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")
_CSV_COLUMNS = (
    *("from", "to", "feed", "said", "text", "confidence", "tags", "guess", "captions"),
    "picture",
)


class SubtitleWriter:
    """Writes spans as subtitles (WebVTT or SRT).

    The subtitles of a feed never overlap: a short one ends when the feed's next one begins, and so
    does one whose end is later because the clock was set back.
    """

    def __init__(self, kind: str, zero: float | None, *, with_feed: bool) -> None:
        """Prepare a writer.

        Args:
            kind: "vtt" or "srt".
            zero: Time zero of the subtitles, in seconds since the Unix epoch; the start of the
                first span if None.
            with_feed: Whether to prefix each subtitle with the name of its feed.
        """
        self._is_vtt, self._zero, self._with_feed = kind == "vtt", zero, with_feed
        self._count = 0
        self._cues: deque[_Cue] = deque()
        """Subtitles that are not written yet, because an earlier one may end sooner."""
        self._last: dict[str, _Cue] = {}
        """Of those, the last one of each feed."""

    def head(self) -> str:
        """Return the beginning of the file."""
        return webvtt.HEADER if self._is_vtt else ""

    def write(self, spans: Iterable[Span]) -> str:
        """Return the subtitles of some spans."""
        texts = []
        for span in spans:
            if previous := self._last.get(span.feed):
                previous.end = min(previous.end, span.started)
            cue = _Cue(span, max(span.ended, span.started + _MIN_CUE_S))
            self._last[span.feed] = cue
            self._cues.append(cue)
            texts.append(self._pop_until(span.started))
        return "".join(texts)

    def tail(self) -> str:
        """Return the end of the file."""
        return self._pop_until(math.inf)

    def _pop_until(self, time: float) -> str:
        """Remove the first subtitles, up to one that lasts beyond a time; return their text."""
        texts = []
        while self._cues and self._cues[0].end <= time:
            cue = self._cues.popleft()
            if self._last.get(cue.span.feed) is cue:
                del self._last[cue.span.feed]
            texts.append(self._format(cue.span, cue.end))
        return "".join(texts)

    def _format(self, span: Span, ended: float) -> str:
        zero = self._zero = span.started if self._zero is None else self._zero
        begin, end = (max(0, round(1000 * (time - zero))) for time in (span.started, ended))
        if begin == end:
            return ""
        text = f"{span.feed}: {span.said}" if self._with_feed else span.said
        self._count += 1
        if self._is_vtt:
            note = webvtt.note(f"00:00:00.000 is {_rfc3339(zero)}") if self._count == 1 else ""
            return note + webvtt.cue(begin / 1000, end / 1000, text)
        times = (webvtt.timestamp(time, ",") for time in (begin, end))
        return f"{self._count}\r\n{' --> '.join(times)}\r\n{text}\r\n\r\n"


@dataclass(slots=True)
class _Cue:
    span: Span
    end: float


class CsvWriter:
    """Writes spans as CSV (RFC 4180), safe from formula injection (OWASP, CSV injection)."""

    def __init__(self, path: str = "") -> None:
        """Prepare a writer; `path` as for `Span.to_json`."""
        self._path = path

    def head(self) -> str:
        """Return the header row."""
        return _csv_row(_CSV_COLUMNS)

    def write(self, spans: Iterable[Span]) -> str:
        """Return the rows of some spans."""
        return "".join(map(self._format, spans))

    def tail(self) -> str:
        """Return the end of the file, which is empty."""
        return ""

    def _format(self, span: Span) -> str:
        tags = "; ".join(f"{tag.text} {tag.prob:.0%}" for tag in span.tags)
        confidence = "" if span.confidence is None else f"{span.confidence:.4f}"
        texts = (span.feed, span.said, span.text, confidence, tags, span.guess)
        last = (str(span.captions), span.picture_link(self._path))
        return _csv_row((_rfc3339(span.started), _rfc3339(span.ended), *texts, *last))


class JsonLinesWriter:
    """Writes spans as JSON Lines."""

    def __init__(self, path: str = "") -> None:
        """Prepare a writer; `path` as for `Span.to_json`."""
        self._path = path

    def head(self) -> str:
        """Return the beginning of the file, which is empty."""
        return ""

    def write(self, spans: Iterable[Span]) -> str:
        """Return the lines of some spans, each as the search returns it."""
        return "".join(f"{json.dumps(span.to_json(self._path))}\n" for span in spans)

    def tail(self) -> str:
        """Return the end of the file, which is empty."""
        return ""


Writer = SubtitleWriter | CsvWriter | JsonLinesWriter


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A file format of the export."""

    content_type: str
    writer: Callable[[float | None, bool, str], Writer]
    """Creates a writer, for a time zero (see `SubtitleWriter`), for one or several feeds, and for
    the path of links to pictures (see `Span.to_json`)."""


EXPORT_FORMATS = {
    "vtt": ExportFormat(
        "text/vtt", lambda zero, several, _: SubtitleWriter("vtt", zero, with_feed=several)
    ),
    "srt": ExportFormat(
        "application/x-subrip",
        lambda zero, several, _: SubtitleWriter("srt", zero, with_feed=several),
    ),
    "csv": ExportFormat("text/csv", lambda zero, several, path: CsvWriter(path)),
    "jsonl": ExportFormat("application/jsonl", lambda zero, several, path: JsonLinesWriter(path)),
}
"""The export formats, by file name extension."""


def _csv_row(values: Iterable[str]) -> str:
    text = io.StringIO()
    escaped = (f"'{value}" if value.startswith(_FORMULA_PREFIXES) else value for value in values)
    csv.writer(text, lineterminator="\r\n").writerow(escaped)
    return text.getvalue()


def _rfc3339(time: float) -> str:
    """Format a time in UTC (RFC 3339)."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
