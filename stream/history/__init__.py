"""The caption history: captions kept in a database, to search by words, feed and time."""

from stream.history.errors import HistoryBusy, HistoryError
from stream.history.export import EXPORT_FORMATS
from stream.history.firing import Firing, FiringQuery, RecordedFiring
from stream.history.history import History
from stream.history.pictures import (
    KeptPicture,
    Picture,
    PictureKeeper,
    PictureLimits,
    PictureSource,
)
from stream.history.query import (
    MATCHES,
    MAX_TIME,
    HistoryQuery,
    Match,
    synonyms_in,
    with_match,
    with_synonyms,
)
from stream.history.reader import MAX_BUCKETS, MAX_HOURS_S, MAX_SPANS, MAX_SUMMARY_S
from stream.history.search_text import BadQuery, words_of
from stream.history.settings import HistorySettings
from stream.history.span import MAX_GAP_S, OpenSpans, Span
from stream.history.summaries import summary_text

__all__ = [
    "EXPORT_FORMATS",
    "MATCHES",
    "MAX_BUCKETS",
    "MAX_GAP_S",
    "MAX_HOURS_S",
    "MAX_SPANS",
    "MAX_SUMMARY_S",
    "MAX_TIME",
    "BadQuery",
    "Firing",
    "FiringQuery",
    "History",
    "HistoryBusy",
    "HistoryError",
    "HistoryQuery",
    "HistorySettings",
    "KeptPicture",
    "Match",
    "OpenSpans",
    "Picture",
    "PictureKeeper",
    "PictureLimits",
    "PictureSource",
    "RecordedFiring",
    "Span",
    "summary_text",
    "synonyms_in",
    "with_match",
    "with_synonyms",
    "words_of",
]
