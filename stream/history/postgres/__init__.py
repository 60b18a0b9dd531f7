"""A history in PostgreSQL, for any number of servers."""

from stream.history.postgres.backend import PostgresBackend
from stream.history.postgres.bulk import BulkWriter
from stream.history.postgres.reader import PostgresReader
from stream.history.postgres.store import PostgresStore

__all__ = ["BulkWriter", "PostgresBackend", "PostgresReader", "PostgresStore"]
