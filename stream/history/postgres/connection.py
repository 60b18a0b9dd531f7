"""Connections to PostgreSQL that come back by themselves after they are lost."""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from stream.history import HistoryError

SCHEMA = "sightline_history"
"""The PostgreSQL schema of all tables of the history."""

_NETWORK = {
    "connect_timeout": "5",
    # A connection to a machine that is gone fails within seconds.
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "application_name": "sightline history",
    "client_encoding": "utf-8",
}
_SESSION = {
    "search_path": SCHEMA,
    "lock_timeout": "5s",
    # To compile a query takes longer than to run it.
    "jit": "off",
}
_RETRY_S = 1.0

Result = TypeVar("Result")


def check_url(url: str) -> None:
    """Check that libpq understands a URL; raises `HistoryError`, which does not repeat it."""
    try:
        conninfo_to_dict(url)
    except psycopg.Error:
        raise HistoryError(
            "the URL of the database is invalid; write postgresql://USER:PASSWORD@HOST/DATABASE, "
            "with % and a code for special characters, such as %40 for @"
        ) from None


def describe_url(url: str) -> str:
    """Return the name of a database and its host, for messages."""
    parts = conninfo_to_dict(url)
    host = parts.get("host") or parts.get("hostaddr") or "this machine"
    return f"{parts.get('dbname') or 'database'} at {host}"


def describe(error: psycopg.Error) -> str:
    """Return the main message of an error in one line."""
    text = error.diag.message_primary or str(error)
    return " ".join(text.split()) or type(error).__name__


class Connection:
    """A connection that is made when it is needed, and again after it was lost.

    For one thread at a time.
    """

    def __init__(self, url: str, session: Mapping[str, str]) -> None:
        """Prepare a connection.

        Args:
            url: URL of the database.
            session: Settings of the session, in addition to those that all have.
        """
        self._url, self._session = url, {**_SESSION, **session}
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._failure: psycopg.OperationalError | None = None
        self._retry_at = 0.0
        self._is_closed = False

    def run(
        self,
        work: Callable[[psycopg.Connection[tuple[Any, ...]]], Result],
        *,
        is_repeatable: bool = True,
    ) -> Result:
        """Run work with the connection, in autocommit mode.

        Args:
            work: What to do with the connection.
            is_repeatable: Whether the work may run again with a new connection, if the one that was
                open turns out to be lost.

        Raises:
            psycopg.Error: If the database cannot be reached, or the work fails.
        """
        is_new = self._connection is None
        connection = self._connection or self._connect()
        try:
            return work(connection)
        except (psycopg.OperationalError, psycopg.InterfaceError):
            if not connection.closed:
                raise
            self._disconnect()
            if is_new or not is_repeatable:
                raise
        return work(self._connect())

    def close(self) -> None:
        """Close the connection for good; safe to call more than once."""
        self._is_closed = True
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._is_closed:
            raise psycopg.InterfaceError("the connection is closed")
        # Requests that follow a failure at once share it, so that none waits for the network.
        if self._failure and time.monotonic() < self._retry_at:
            raise self._failure
        try:
            given = {name: str(value) for name, value in conninfo_to_dict(self._url).items()}
            target = make_conninfo(**{**_NETWORK, **given})
            connection = psycopg.connect(target, autocommit=True, prepare_threshold=None)
            try:
                for name, value in self._session.items():
                    connection.execute("SELECT set_config(%s, %s, false)", (name, value))
            except BaseException:
                connection.close()
                raise
        except psycopg.OperationalError as error:
            self._failure, self._retry_at = error, time.monotonic() + _RETRY_S
            raise
        self._connection, self._failure = connection, None
        return connection
