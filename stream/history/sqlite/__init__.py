"""A history in an SQLite file, for one server."""

from stream.history.sqlite.backend import SqliteBackend
from stream.history.sqlite.database import TOKENIZER
from stream.history.sqlite.reader import SqliteReader
from stream.history.sqlite.store import SqliteStore

__all__ = ["TOKENIZER", "SqliteBackend", "SqliteReader", "SqliteStore"]
