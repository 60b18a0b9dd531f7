"""The databases that can hold the history."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from stream.history.errors import HistoryError
from stream.history.pictures import NO_PICTURES, PictureLimits
from stream.history.reader import HistoryReader
from stream.history.store import Store

if TYPE_CHECKING:
    from stream.history.postgres import PostgresBackend


class Backend(Protocol):
    """A database for the history. Its stores and readers are for one thread at a time each."""

    @property
    def name(self) -> str:
        """Which database it is, for messages; without secrets."""
        ...

    def open_store(
        self, days: float, megabytes: float, pictures: PictureLimits = NO_PICTURES
    ) -> Store:
        """Open the database for writing, and create its tables if they do not exist.

        Args:
            days: As `HistorySettings.days`.
            megabytes: As `HistorySettings.megabytes`.
            pictures: Limits of the pictures; by default none are kept.

        Raises:
            HistoryError: If it cannot be used; the message says why.
        """
        ...

    def open_reader(self) -> HistoryReader:
        """Open the database for reading, once a store has opened it; raises `HistoryError`."""
        ...


def choose_backend(path: Path | None, database: str | None) -> Backend:
    """Return the backend that the settings choose; only its modules are loaded.

    Args:
        path: The SQLite file, unless there is a database.
        database: URL of a PostgreSQL database.

    Raises:
        HistoryError: If the URL is invalid, or the database's driver is not installed.
    """
    if database is None:
        if path is None:
            raise HistoryError("the history is off; set path in [history]")
        from stream.history.sqlite import SqliteBackend

        return SqliteBackend(path)
    return open_postgres(database)


def open_postgres(url: str) -> "PostgresBackend":
    """Return a PostgreSQL database as a backend; raises `HistoryError` as `choose_backend`."""
    try:
        from stream.history.postgres import PostgresBackend
    except ImportError as error:
        raise HistoryError(
            "PostgreSQL needs its driver; install it with: pip install 'sightline[cluster]'"
        ) from error
    return PostgresBackend(url)
