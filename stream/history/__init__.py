"""What was said, kept: captions in SQLite, to be searched by words, by feed and by time."""

from stream.history.database import HistoryError
from stream.history.history import History, HistoryBusy
from stream.history.settings import HistorySettings
from stream.history.wanted import BadQuery, Wanted

__all__ = ["BadQuery", "History", "HistoryBusy", "HistoryError", "HistorySettings", "Wanted"]
