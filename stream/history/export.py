"""The history as a file: WebVTT, SRT, CSV (RFC 4180) or JSON Lines, written span by span."""

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from stream.captioning import webvtt
from stream.history.span import Span

_SHORTEST_S = 1.0
"""How long a subtitle is shown at least."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS = ("from", "to", "feed", "said", "text", "confidence", "tags", "guess", "captions")


class Subtitles:
    """Spans as subtitles; time zero is the beginning asked for or, without, the first span's."""

    def __init__(self, form: str, zero: float | None, *, names_feeds: bool) -> None:
        """Write the form "vtt" or "srt"; each subtitle names its feed where there are several."""
        self._is_vtt, self._zero, self._names_feeds = form == "vtt", zero, names_feeds
        self._count = 0

    def head(self) -> str:
        """What comes before the first span."""
        return webvtt.HEADER if self._is_vtt else ""

    def write(self, spans: Iterable[Span]) -> str:
        """Write some spans."""
        return "".join(map(self._write, spans))

    def _write(self, span: Span) -> str:
        known = self._zero is not None
        zero = self._zero = span.begun if self._zero is None else self._zero
        begin, end = span.begun - zero, max(span.ended, span.begun + _SHORTEST_S) - zero
        said = f"{span.feed}: {span.said}" if self._names_feeds else span.said
        self._count += 1
        if self._is_vtt:
            # Only the first subtitle needs to say what its zero is on the clock.
            first = webvtt.note(f"00:00:00.000 is {_clock(zero)}") if self._count == 1 else ""
            return first + webvtt.cue(begin, end, said)
        begin = max(0.0, begin) if known else begin
        times = (webvtt.timestamp(round(time * 1000), ",") for time in (begin, end))
        return f"{self._count}\r\n{' --> '.join(times)}\r\n{said}\r\n\r\n"


class Table:
    """Spans as CSV (RFC 4180), which a spreadsheet takes for no formula (OWASP, CSV injection)."""

    def head(self) -> str:
        """The names of the columns."""
        return _row(_COLUMNS)

    def write(self, spans: Iterable[Span]) -> str:
        """Write some spans, one a row."""
        return "".join(map(self._write, spans))

    def _write(self, span: Span) -> str:
        tags = "; ".join(f"{tag.text} {tag.prob:.0%}" for tag in span.tags)
        texts = (span.feed, span.said, span.text, f"{span.confidence:.4f}", tags, span.guess)
        return _row((_clock(span.begun), _clock(span.ended), *texts, str(span.captions)))


class Lines:
    """Spans as JSON Lines."""

    def head(self) -> str:
        """Nothing."""
        return ""

    def write(self, spans: Iterable[Span]) -> str:
        """Write some spans, one a line, as the search gives them."""
        return "".join(f"{json.dumps(span.to_json())}\n" for span in spans)


Writer = Subtitles | Table | Lines


@dataclass(frozen=True, slots=True)
class Form:
    """A form that the history can be exported in."""

    content_type: str
    writer: Callable[[float | None, bool], Writer]
    """Makes one, for a time zero and for several feeds."""


FORMS = {
    "vtt": Form("text/vtt", lambda zero, several: Subtitles("vtt", zero, names_feeds=several)),
    "srt": Form(
        "application/x-subrip", lambda zero, several: Subtitles("srt", zero, names_feeds=several)
    ),
    "csv": Form("text/csv", lambda zero, several: Table()),
    "jsonl": Form("application/jsonl", lambda zero, several: Lines()),
}


def _row(values: Iterable[str]) -> str:
    text = io.StringIO()
    guarded = (f"'{value}" if value.startswith(_FORMULA) else value for value in values)
    csv.writer(text, lineterminator="\r\n").writerow(guarded)
    return text.getvalue()


def _clock(time: float) -> str:
    """A time in UTC (RFC 3339)."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
