"""The caption history: captions kept in SQLite, to search by words, feed and time."""

from stream.history.database import HistoryError
from stream.history.export import EXPORT_FORMATS
from stream.history.history import History, HistoryBusy, HistorySettings
from stream.history.search import MAX_BUCKETS, MAX_SPANS, MAX_TIME, HistoryQuery
from stream.history.search_text import BadQuery
from stream.history.span import OpenSpans, Span

__all__ = [
    "EXPORT_FORMATS",
    "MAX_BUCKETS",
    "MAX_SPANS",
    "MAX_TIME",
    "BadQuery",
    "History",
    "HistoryBusy",
    "HistoryError",
    "HistoryQuery",
    "HistorySettings",
    "OpenSpans",
    "Span",
]
