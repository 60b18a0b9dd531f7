"""PostgreSQL as a backend of the history."""

from dataclasses import dataclass, field

from stream.history import PictureLimits
from stream.history.pictures import NO_PICTURES
from stream.history.postgres.bulk import BulkWriter
from stream.history.postgres.connection import check_url, describe_url
from stream.history.postgres.reader import PostgresReader
from stream.history.postgres.store import PostgresStore


@dataclass(frozen=True, slots=True)
class PostgresBackend:
    """A database that several servers may share."""

    url: str = field(repr=False)
    """As libpq understands it: postgresql://USER:PASSWORD@HOST:PORT/DATABASE."""

    def __post_init__(self) -> None:
        """Check the URL; raises `HistoryError`."""
        check_url(self.url)

    @property
    def name(self) -> str:
        """The database and its host, without user and password."""
        return describe_url(self.url)

    def open_store(
        self, days: float, megabytes: float, pictures: PictureLimits = NO_PICTURES
    ) -> PostgresStore:
        """Connect for writing, and create the tables if they do not exist."""
        return PostgresStore(self.url, days, megabytes, pictures)

    def open_reader(self) -> PostgresReader:
        """Prepare for reading, once a store has created the tables."""
        return PostgresReader(self.url)

    def open_bulk_writer(self, days: float, megabytes: float) -> BulkWriter:
        """Connect for writing many spans at once, and create the tables if they do not exist."""
        return BulkWriter(self.url, days, megabytes)
