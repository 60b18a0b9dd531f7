"""SQLite as a backend of the history."""

from dataclasses import dataclass
from pathlib import Path

from stream.history import PictureLimits
from stream.history.pictures import NO_PICTURES
from stream.history.sqlite.reader import SqliteReader
from stream.history.sqlite.store import SqliteStore


@dataclass(frozen=True, slots=True)
class SqliteBackend:
    """A file for one server."""

    path: Path

    @property
    def name(self) -> str:
        """The path of the file."""
        return str(self.path)

    def open_store(
        self, days: float, megabytes: float, pictures: PictureLimits = NO_PICTURES
    ) -> SqliteStore:
        """Open the file for writing, and create it if it does not exist."""
        return SqliteStore(self.path, days, megabytes, pictures)

    def open_reader(self) -> SqliteReader:
        """Open the file, which the store must have opened before."""
        return SqliteReader(self.path)
