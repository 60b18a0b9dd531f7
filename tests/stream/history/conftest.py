"""Fixtures: an empty history for each test, in SQLite and in PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from stream.history.backend import Backend, choose_backend
from stream.history.postgres.connection import SCHEMA
from stream.history.reader import HistoryReader
from stream.history.store import Store
from tests.support.postgres import PostgresServer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Path of a history in SQLite that does not exist yet."""
    return tmp_path / "history.sqlite"


@pytest.fixture(scope="session")
def _database(postgres: PostgresServer) -> str:
    return postgres.url(postgres.create_database())


@pytest.fixture
def history_url(_database: str) -> Iterator[str]:
    """URL of a PostgreSQL database without a history."""
    yield _database
    with psycopg.connect(_database, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE".encode())


@pytest.fixture(params=["sqlite", "postgres"])
def backend(request: pytest.FixtureRequest, path: Path) -> Backend:
    """An empty database."""
    if request.param == "sqlite":
        return choose_backend(path, None)
    return choose_backend(None, request.getfixturevalue("history_url"))


@pytest.fixture
def store(backend: Backend) -> Iterator[Store]:
    """The writing side."""
    # Test events are years old.
    store = backend.open_store(days=36_500, megabytes=100)
    yield store
    store.close()


@pytest.fixture
def reader(backend: Backend, store: Store) -> Iterator[HistoryReader]:
    """The reading side."""
    reader = backend.open_reader()
    yield reader
    reader.close()
