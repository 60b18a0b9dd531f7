"""A history in an SQLite file, for one server."""

from stream.history.sqlite.backend import SqliteBackend
from stream.history.sqlite.reader import SqliteReader
from stream.history.sqlite.stemmer import Stemmer
from stream.history.sqlite.store import SqliteStore

__all__ = ["SqliteBackend", "SqliteReader", "SqliteStore", "Stemmer"]
