"""Fixtures of all tests of feeds."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def _freeze_garbage_collector() -> Iterator[None]:
    """Exclude everything loaded so far from garbage collections, as the server does on startup.

    Each source reader ends with a collection, which would otherwise take seconds.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
