import asyncio
import time
from collections.abc import AsyncIterator

import psutil
import pytest
import pytest_asyncio
from psycopg import AsyncConnection

from stream.cluster import connection as module
from stream.cluster.connection import DatabaseConnection, DatabaseUnavailable


@pytest_asyncio.fixture
async def connection(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[DatabaseConnection]:
    monkeypatch.setattr(module, "_RETRY_S", 0.0)
    connection = DatabaseConnection(database_url, "tests")
    yield connection
    await connection.close()


async def test_a_statement_that_gets_no_answer_fails_in_time(
    connection: DatabaseConnection,
) -> None:
    async def sleep(opened: AsyncConnection) -> None:
        await opened.execute("SET statement_timeout = 0")
        await opened.execute("SELECT pg_sleep(30)")

    started = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        await connection.run(sleep, 0.3)

    assert time.monotonic() - started < 2
    assert not connection.is_up
    assert await connection.fetch("SELECT 1") == [(1,)]


async def test_the_database_itself_ends_a_slow_statement(
    connection: DatabaseConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = "SET statement_timeout = 100"
    monkeypatch.setattr(module, "_SERVER_OPTIONS", options)
    with pytest.raises(DatabaseUnavailable, match="statement timeout"):
        await connection.fetch("SELECT pg_sleep(30)")


async def test_a_cancelled_statement_is_given_up_at_once(connection: DatabaseConnection) -> None:
    await connection.fetch("SELECT 1")
    task = asyncio.create_task(connection.fetch("SELECT pg_sleep(2)"))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    task.cancel()
    await asyncio.wait({task})

    assert task.cancelled()
    assert time.monotonic() - started < 0.5
    assert await connection.fetch("SELECT 1") == [(1,)]


async def test_a_lost_connection_is_opened_again(
    connection: DatabaseConnection, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    ((pid,),) = await connection.fetch("SELECT pg_backend_pid()")
    other = DatabaseConnection(database_url, "tests")
    await other.fetch("SELECT pg_terminate_backend(%s)", (pid,))
    await other.close()
    with pytest.raises(DatabaseUnavailable):
        await connection.fetch("SELECT 1")

    assert await connection.fetch("SELECT 1") == [(1,)]
    assert [record.message.partition(" (")[0] for record in caplog.records] == [
        "the cluster's database fails",
        "the database answers again",
    ]


async def test_the_password_is_in_no_error(caplog: pytest.LogCaptureFixture) -> None:
    connection = DatabaseConnection("postgresql://anna:sesame@127.0.0.1:1/captions", "tests")
    with pytest.raises(DatabaseUnavailable, match="refused") as caught:
        await connection.fetch("SELECT 1")

    assert "sesame" not in f"{caught.value}{caplog.text}"
    # Not at once again.
    with pytest.raises(DatabaseUnavailable):
        await connection.fetch("SELECT 1")
    assert len(caplog.records) == 1


async def test_a_closed_connection_stays_closed(connection: DatabaseConnection) -> None:
    await connection.fetch("SELECT 1")
    sleeping = asyncio.create_task(connection.fetch("SELECT pg_sleep(30)"))
    await asyncio.sleep(0.1)
    await connection.close()

    with pytest.raises(DatabaseUnavailable):
        await sleeping
    with pytest.raises(DatabaseUnavailable, match="stopping"):
        await connection.fetch("SELECT 1")


async def test_a_connection_that_is_given_up_while_it_logs_in_is_closed(database_url: str) -> None:
    descriptors = psutil.Process().num_fds
    before, given_up = descriptors(), list[BaseException]()
    for number in range(20):
        connection = DatabaseConnection(database_url, "test")
        task = asyncio.create_task(connection.fetch("SELECT 1"))
        await asyncio.sleep(number / 1000)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as cancelled:
            # It keeps alive what only the garbage collector would close.
            given_up.append(cancelled)
        await connection.close()

    assert given_up
    assert descriptors() == before
