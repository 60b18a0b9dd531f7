"""What all tests of feeds need."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def _as_in_the_server() -> Iterator[None]:
    """What was loaded before is left out of collections, as the server does at its start.

    Each reception ends with one, which would take seconds over all that the tests have loaded.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
