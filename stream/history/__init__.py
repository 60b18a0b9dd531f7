"""What was said, kept: captions in SQLite, to be searched by words, by feed and by time."""

from stream.history.database import HistoryError
from stream.history.export import FORMS
from stream.history.history import History, HistoryBusy, HistorySettings
from stream.history.search import LATEST, MOST_BUCKETS, MOST_SPANS, BadQuery, Wanted
from stream.history.span import OpenSpans, Span

__all__ = [
    "FORMS",
    "LATEST",
    "MOST_BUCKETS",
    "MOST_SPANS",
    "BadQuery",
    "History",
    "HistoryBusy",
    "HistoryError",
    "HistorySettings",
    "OpenSpans",
    "Span",
    "Wanted",
]
