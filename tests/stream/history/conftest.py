"""A history of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.history.search import Reading
from stream.history.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where there is no history yet."""
    return tmp_path / "history.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """The writer."""
    # Its events are of years ago.
    store = Store(path, days=36_500, megabytes=100)
    yield store
    store.close()


@pytest.fixture
def reading(path: Path, store: Store) -> Iterator[Reading]:
    """A reader beside the writer."""
    reading = Reading(path)
    yield reading
    reading.close()
