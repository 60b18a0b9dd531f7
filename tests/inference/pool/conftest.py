"""Caption servers on sockets of this machine, and clients of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from inference.engine import CaptionService
from inference.pool import CaptionServer, PoolCaptioner


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    """The path of a Unix socket."""
    return tmp_path / "captions"


@asynccontextmanager
async def serving(
    service: CaptionService, socket: Path, **options: Any
) -> AsyncIterator[CaptionServer]:
    """Serve a caption service on a Unix socket."""
    server = CaptionServer(service, **options)
    await server.listen_unix(socket)
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def pool_of(*addresses: str | Path, **options: Any) -> AsyncIterator[PoolCaptioner]:
    """A started client of these addresses; a path is that of a Unix socket."""
    names = [f"unix:{each}" if isinstance(each, Path) else each for each in addresses]
    pool = PoolCaptioner(names, **{"poll_s": 0.05, **options})
    pool.start()
    try:
        yield pool
    finally:
        await pool.stop()
