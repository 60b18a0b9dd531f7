"""The history of all captions: settings, and an asynchronous interface to its two threads."""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from stream.broadcast import Broadcast, Subscription
from stream.captioning import CaptionEvent
from stream.history.database import HistoryError
from stream.history.search import MAX_SPANS, HistoryQuery, HistoryReader
from stream.history.span import Span
from stream.history.store import Store

_QUEUE_SIZE = 1000
"""Captions queued for writing; beyond that the oldest are dropped."""

_FLUSH_INTERVAL_S = 10.0
_RETENTION_INTERVAL_S = 60.0
_MAX_PENDING_READS = 16
_CLOSE_S = 5.0

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


class HistorySettings(BaseModel):
    """Settings of the history; it is off without a path."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = None
    """The SQLite file, in an existing folder. It contains captions, but never images."""
    days: float = Field(90, gt=0, le=36_500)
    """Days after which captions are deleted; see `RetentionClock` for a clock that jumps."""
    megabytes: float = Field(500, ge=1, le=1_000_000)
    """Maximum size of the file, in megabytes (1,000,000 bytes). The oldest captions are deleted
    beyond it."""

    @field_validator("path")
    @classmethod
    def _expand_user(cls, path: Path | None) -> Path | None:
        return path and path.expanduser()


class HistoryBusy(RuntimeError):
    """Too many requests are pending, or a request takes too long."""


class History:
    """Records captions and searches them; file access is confined to two threads.

    While the file cannot be written, for example on a full disk, captions are counted as lost, and
    everything else continues.
    """

    lost = 0
    """Captions that could not be written."""
    spans = 0
    """Spans written since the start."""
    bytes = 0
    """Size of the file, updated every few seconds."""

    def __init__(self, settings: HistorySettings) -> None:
        """Prepare a history from settings with a path; call `open` next."""
        assert settings.path
        self._settings, self._path = settings, settings.path
        self._write_executor = ThreadPoolExecutor(1, "history")
        self._read_executor = ThreadPoolExecutor(1, "history reading")
        self._store: Store
        self._reader: HistoryReader
        self._pending_reads = 0
        self._is_failing = self._closed = False
        self._captions: Subscription[CaptionEvent] | None = None

    async def open(self) -> None:
        """Open the file, or create it.

        Raises:
            HistoryError: If it cannot be used; the message says why.
        """
        settings, loop = self._settings, asyncio.get_running_loop()
        create = partial(Store, self._path, settings.days, settings.megabytes)
        self._store = await loop.run_in_executor(self._write_executor, create)
        try:
            self._reader = await loop.run_in_executor(
                self._read_executor, HistoryReader, self._path
            )
        except HistoryError:
            self._store.close()
            raise

    @property
    def dropped(self) -> int:
        """Captions that were lost because the queue was full."""
        return self._captions.dropped if self._captions else 0

    async def record(self, captions: Broadcast[CaptionEvent]) -> None:
        """Write captions until cancelled; those that are queued then are written by `close`."""
        with captions.queue(_QUEUE_SIZE) as self._captions:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._maintain(), name="history maintenance")
                    async for event in self._captions:
                        written = await self._write(partial(self._store.add, event))
                        self.lost += written is None
                        self.spans += bool(written)
            finally:
                for event in self._captions.take_all():
                    self._write_executor.submit(self._store.add, event)

    async def search(self, query: HistoryQuery, limit: int, before: int | None) -> list[Span]:
        """Return a page of spans as `HistoryReader.newest` does.

        Raises:
            HistoryBusy: If too many requests are pending, or this one takes too long.
            HistoryError: If the file cannot be read.
        """
        return await self._read(partial(self._reader.newest, query, limit, before))

    async def timeline(self, query: HistoryQuery, buckets: int) -> dict[str, Any]:
        """Count spans as `HistoryReader.timeline` does; raises as `search`."""
        return await self._read(partial(self._reader.timeline, query, buckets))

    async def pages(self, query: HistoryQuery) -> AsyncIterator[list[Span]]:
        """Yield all spans in pages, the oldest first; raises as `search`."""
        after: int | None = None
        while True:
            page = await self._read(partial(self._reader.oldest, query, MAX_SPANS, after))
            if page:
                yield page
            if len(page) < MAX_SPANS:
                return
            after = page[-1].id

    async def delete(self, query: HistoryQuery) -> int:
        """Delete spans; return their number.

        Raises:
            HistoryError: If not all of them could be deleted.
        """
        deleted = await self._write(partial(self._store.delete, query))
        if deleted is None:
            raise HistoryError("the history cannot be written; see the server's log")
        logger.info("%d spans of the history were deleted on request", deleted)
        return deleted

    async def close(self) -> None:
        """Write what is not written yet, and close the file; safe to call more than once."""
        if self._closed:
            return
        self._closed = True
        closing = [
            asyncio.get_running_loop().run_in_executor(executor, close)
            for executor, close in (
                (self._write_executor, self._close_store),
                (self._read_executor, self._reader.close),
            )
        ]
        # Bounded, so that a disk that hangs does not keep the server from stopping.
        await asyncio.wait(closing, timeout=_CLOSE_S)
        self._write_executor.shutdown(wait=False, cancel_futures=True)
        self._read_executor.shutdown(wait=False, cancel_futures=True)

    def _close_store(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._store.close()

    async def _maintain(self) -> None:
        """Flush extended spans, apply the retention and measure the file, periodically."""
        retained_at = -_RETENTION_INTERVAL_S
        while True:
            if time.monotonic() - retained_at >= _RETENTION_INTERVAL_S:
                await self._write(self._store.apply_retention)
                retained_at = time.monotonic()
            with contextlib.suppress(HistoryError, HistoryBusy):
                self.bytes = await self._read(self._reader.bytes)
            await asyncio.sleep(_FLUSH_INTERVAL_S)
            await self._write(self._store.flush)

    async def _write(self, work: Callable[[], Result]) -> Result | None:
        """Run in the writing thread; log a failure once, until a write succeeds again.

        Returns:
            The result, falsy if there was nothing to write; None if it failed.
        """
        loop = asyncio.get_running_loop()
        try:
            result = await loop.run_in_executor(self._write_executor, work)
        except sqlite3.Error as problem:
            if not self._is_failing:
                logger.error(
                    "history %s cannot be written, captions are lost: %s", self._path, problem
                )
            self._is_failing = True
            return None
        if result and self._is_failing:
            logger.warning("history %s can be written again", self._path)
            self._is_failing = False
        return result

    async def _read(self, work: Callable[[], Result]) -> Result:
        """Run in the reading thread."""
        if self._pending_reads >= _MAX_PENDING_READS:
            raise HistoryBusy("too many history requests are pending; try again later")
        self._pending_reads += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._read_executor, work)
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorname == "SQLITE_INTERRUPT":
                raise HistoryBusy("the request takes too long; choose a shorter time") from problem
            raise HistoryError(f"the history cannot be read: {problem}") from problem
        except sqlite3.Error as problem:
            raise HistoryError(f"the history cannot be read: {problem}") from problem
        finally:
            self._pending_reads -= 1
