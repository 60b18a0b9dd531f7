"""Fixtures: an empty history for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.history.search import HistoryReader
from stream.history.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Path of a history that does not exist yet."""
    return tmp_path / "history.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """The writing side."""
    # Test events are years old.
    store = Store(path, days=36_500, megabytes=100)
    yield store
    store.close()


@pytest.fixture
def reader(path: Path, store: Store) -> Iterator[HistoryReader]:
    """The reading side."""
    reader = HistoryReader(path)
    yield reader
    reader.close()
