"""Fixtures of all tests: the engine, PostgreSQL, footage, and loopback for media."""

import fcntl
import gc
import os
import shutil
import signal

# Before any import of TensorFlow, which exports symbols of a SQLite without full-text search. The
# server never loads both, but the tests do.
import sqlite3  # noqa: F401
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path

# So is libsrtp, which crashes if it is loaded after TensorFlow.
import aiortc  # noqa: F401
import pytest
import pytest_asyncio

from inference.engine.engine import Engine
from inference.engine.process import EngineTiming
from inference.startup import uncollected
from models.catalogue import SHIPPED_FOLDER
from stream.ice.addresses import MediaAddresses
from stream.media import process_count
from tests.support.distribution import distributed
from tests.support.load.footage import footage_path
from tests.support.postgres import PostgresServer
from tests.support.scripted_worker import scripted_engine

# A shell script that runs the tests in the background makes them ignore SIGINT, and the processes
# that they start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Import all tests without garbage collection, of which they and their libraries need none."""
    with uncollected():
        result = yield
        gc.collect()
        gc.freeze()
    return result


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests for the processes that share them."""
    if (processes := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
        items[:] = distributed(items, processes)


@pytest.fixture(scope="session", autouse=True)
def _isolated_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use an empty cache for converted encoders, and no measurements of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _video_in_this_process() -> Iterator[None]:
    """Use no media processes unless a test sets their number, as on a machine with one core.

    Tests look into the sessions of their own process, and a media process takes a second to start.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process_count, "available_cores", lambda: 1)
        yield


MakeOnce = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def make_once(tmp_path_factory: pytest.TempPathFactory) -> MakeOnce:
    """A function that makes a folder once for all processes that run the tests.

    It takes the folder's name, and a function that fills it. Tests must not change the folder.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def make(name: str, fill: Callable[[Path], None]) -> Path:
        folder, done = base / f"once-{name}", base / f"once-{name}.done"
        with (base / f"once-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    return make


@pytest_asyncio.fixture(scope="session")
async def engine() -> AsyncIterator[Engine]:
    """The real engine with the shipped captioner, loaded."""
    engine = Engine(SHIPPED_FOLDER)
    engine.start()
    await engine.wait_loaded()
    yield engine
    await engine.stop()


@pytest_asyncio.fixture
async def killable_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engine]:
    """An engine whose process a test may kill, ready; it has a scripted worker."""
    timing = EngineTiming(first_pause_s=0.05)
    async with scripted_engine(tmp_path, monkeypatch, timing) as engine:
        yield engine


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL server; a test that kills it starts it again."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    """URL of an empty PostgreSQL database."""
    name = postgres.create_database()
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def footage() -> Path:
    """Ten seconds of people on bicycles, 640x272."""
    return footage_path()


@pytest.fixture
def loopback() -> Iterator[MediaAddresses]:
    """Restricts the media of this process to the loopback interface."""
    addresses = MediaAddresses("127.0.0.1")
    yield addresses
    addresses.release()
