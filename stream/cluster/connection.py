"""A connection to the cluster's database that is noticed within seconds when it is cut."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import AsyncConnection

_CONNECT_S = 3
_STATEMENT_S = 3.0
"""How long a statement may take, its wait for a lock included."""

_ANSWER_S = _STATEMENT_S + 1.0
"""How long to wait for the database's answer before the connection counts as lost."""

_LOGIN_S = 1.0
"""How long a login that is given up may go on."""

_RETRY_S = 0.5
"""Pause after a failed attempt to connect."""

# The kernel reports a connection as lost whose packets are not acknowledged, whoever sent them.
_CLIENT_OPTIONS: dict[str, Any] = {
    "connect_timeout": _CONNECT_S,
    "keepalives": 1,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": 4000,
}
# So that the database, too, gives up a server that is cut off, with the locks that it holds.
_SERVER_OPTIONS = (
    f"SET statement_timeout = {round(_STATEMENT_S * 1000)};"
    "SET idle_in_transaction_session_timeout = 4000;"
    "SET tcp_keepalives_idle = 2; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 2;"
    "SET tcp_user_timeout = 4000"
)

Result = TypeVar("Result")
Rows = list[tuple[Any, ...]]
Values = Sequence[Any] | Mapping[str, Any]
Work = Callable[[AsyncConnection], Coroutine[Any, Any, Result]]

logger = logging.getLogger(__name__)


class DatabaseUnavailable(RuntimeError):
    """The database cannot be reached, or did not answer in time; a later attempt may succeed."""


class DatabaseConnection:
    """One connection, which is opened when it is needed, and opened again after it was lost.

    Several tasks may use it; their statements run one after another.
    """

    def __init__(self, url: str, purpose: str, prepare: Work[None] | None = None) -> None:
        """Open nothing yet.

        Args:
            url: URL of the database; never shown, as it may contain a password.
            purpose: What the connection is for, for the database's list of connections.
            prepare: Prepares each new connection.
        """
        self._url, self._purpose, self._prepare = url, purpose, prepare
        self._connection: AsyncConnection | None = None
        self._lock = asyncio.Lock()
        self._retry_at = 0.0
        self._failure = ""
        self._is_closed = False

    @property
    def is_up(self) -> bool:
        """Whether the connection is open, as far as is known."""
        return self._connection is not None and not self._connection.closed

    async def fetch(self, query: LiteralString, values: Values = ()) -> Rows:
        """Run one statement in a transaction of its own, and return its rows.

        Raises:
            DatabaseUnavailable: If it failed. It may have taken effect all the same.
        """

        async def work(connection: AsyncConnection) -> Rows:
            cursor = await connection.execute(query, values)
            return await cursor.fetchall() if cursor.description else []

        return await self.run(work)

    async def run(self, work: Work[Result], answer_s: float = _ANSWER_S) -> Result:
        """Run statements; raises as `fetch`.

        Args:
            work: Runs them on the connection, which commits each by itself.
            answer_s: How long it may take.
        """
        async with self._lock:
            connection = await self._open()
            try:
                return await self._run_bounded(connection, work, answer_s)
            except psycopg.Error as problem:
                self._note_failure(problem)
                # Also if the database merely rejected the statement: what the connection has done
                # is then unclear.
                await self._discard()
                raise DatabaseUnavailable(_describe(problem)) from problem
            except BaseException:
                await self._discard()
                raise

    def reset(self) -> None:
        """Let the connection be opened again; a statement that runs fails."""
        if self._connection:
            _cut(self._connection)

    async def close(self) -> None:
        """Close the connection for good; a statement that runs is given up."""
        self._is_closed = True
        if self._connection:
            _cut(self._connection)
        async with self._lock:
            await self._discard()

    async def _open(self) -> AsyncConnection:
        if self._is_closed:
            raise DatabaseUnavailable("the server is stopping")
        if self._connection and not self._connection.closed:
            return self._connection
        self._connection = None
        if time.monotonic() < self._retry_at:
            raise DatabaseUnavailable(self._failure)
        connecting = asyncio.ensure_future(
            AsyncConnection.connect(
                self._url,
                autocommit=True,
                application_name=f"sightline {self._purpose}",
                **_CLIENT_OPTIONS,
            )
        )
        try:
            # Beyond the timeout of the connection itself, for a slow look-up of the host's name.
            async with asyncio.timeout(2 * _CONNECT_S):
                connection = await asyncio.shield(connecting)
        except (psycopg.Error, OSError) as problem:
            await _abandon(connecting)
            self._note_failure(problem)
            raise DatabaseUnavailable(self._failure) from problem
        except asyncio.CancelledError:
            await _abandon(connecting)
            raise
        try:
            await self._run_bounded(connection, self._set_up, _ANSWER_S)
        except (psycopg.Error, DatabaseUnavailable) as problem:
            await connection.close()
            self._note_failure(problem)
            raise DatabaseUnavailable(self._failure) from problem
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        if self._failure:
            logger.warning("the database answers again (%s)", self._purpose)
        self._failure = ""
        return connection

    async def _set_up(self, connection: AsyncConnection) -> None:
        await connection.execute(_SERVER_OPTIONS)
        if self._prepare:
            await self._prepare(connection)

    async def _run_bounded(
        self, connection: AsyncConnection, work: Work[Result], answer_s: float
    ) -> Result:
        """Run statements; after the time limit, and when cancelled, the connection is cut.

        To cancel a statement, psycopg would connect to the database once more, and wait.
        """
        task = asyncio.ensure_future(work(connection))
        timer = asyncio.get_running_loop().call_later(answer_s, _cut, connection)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            _cut(connection)
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()
            raise
        finally:
            timer.cancel()

    async def _discard(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            with suppress(psycopg.Error):
                await connection.close()

    def _note_failure(self, problem: Exception) -> None:
        """Log when the database starts to fail, not each time."""
        self._retry_at = time.monotonic() + _RETRY_S
        before, self._failure = self._failure, _describe(problem)
        if not before and not self._is_closed:
            about = "the cluster's database fails (%s): %s; trying again"
            logger.warning(about, self._purpose, self._failure)


async def _abandon(connecting: "asyncio.Future[AsyncConnection]") -> None:
    """Close a connection that nobody waits for any more, even if it is not open yet.

    psycopg leaves the socket of a connection open that is cancelled while it logs in. The database
    waits for the rest of the login for a minute, and so does whoever drops a database meanwhile.
    """
    await asyncio.wait({connecting}, timeout=_LOGIN_S)
    if not connecting.done():
        connecting.cancel()
        await asyncio.wait({connecting})
    if not connecting.cancelled() and connecting.exception() is None:
        await connecting.result().close()


def _cut(connection: AsyncConnection) -> None:
    """Shut down the socket, so that whoever waits for it gets an error at once."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as own:
        own.shutdown(socket.SHUT_RDWR)


def _describe(problem: Exception) -> str:
    """Return the reason in one line, without the connection's parameters."""
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    lines = str(problem).strip().splitlines()
    return lines[0] if lines else type(problem).__name__
