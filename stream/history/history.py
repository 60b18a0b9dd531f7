"""Where captions are kept, and for how long.

The history of all feeds' captions, beside the event loop.
"""

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
from stream.history.search import MOST_SPANS, Reading, Wanted
from stream.history.span import Span
from stream.history.store import Store

_ROOM = 1000
"""Captions that wait to be written; of more the oldest are lost."""

_NOTE_EVERY_S = 10.0
_RETAIN_EVERY_S = 60.0
_MOST_QUESTIONS = 16
_CLOSE_S = 5.0
T = TypeVar("T")

logger = logging.getLogger(__name__)


class HistorySettings(BaseModel):
    """Settings of the history; without a path there is none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = None
    """The SQLite file; its folder must exist. Captions are kept in it, pictures never."""
    days: float = Field(90, gt=0, le=36_500)
    """Captions older than so many days are deleted."""
    megabytes: float = Field(500, ge=1, le=1_000_000)
    """The oldest captions are deleted when the file would be larger (1 MB is 1,000,000 bytes)."""

    @field_validator("path")
    @classmethod
    def _of_home(cls, path: Path | None) -> Path | None:
        return path and path.expanduser()


class HistoryBusy(RuntimeError):
    """Too many questions wait already, or this one takes too long."""


class History:
    """Keeps captions and answers questions about them; files are touched in two threads only.

    If it cannot be written, as on a full disk, captions are lost to it and counted, and all else
    goes on.
    """

    lost = 0
    """Captions that could not be written."""
    spans = 0
    """Spans that were written since the start."""
    bytes = 0
    """Size of the file when it was last looked at."""

    def __init__(self, settings: HistorySettings) -> None:
        """Prepare the history of the settings, which have a path; `open` it next."""
        assert settings.path
        self._settings, self._path = settings, settings.path
        self._writer = ThreadPoolExecutor(1, "history")
        self._reader = ThreadPoolExecutor(1, "history reading")
        self._store: Store
        self._reading: Reading
        self._questions = 0
        self._fails = self._closed = False
        self._captions: Subscription[CaptionEvent] | None = None

    async def open(self) -> None:
        """Open the file, or make it.

        Raises:
            HistoryError: If it cannot be used; the message says why.
        """
        settings, loop = self._settings, asyncio.get_running_loop()
        make = partial(Store, self._path, settings.days, settings.megabytes)
        self._store = await loop.run_in_executor(self._writer, make)
        try:
            self._reading = await loop.run_in_executor(self._reader, Reading, self._path)
        except HistoryError:
            self._store.close()
            raise

    @property
    def dropped(self) -> int:
        """Captions that came faster than they could be written."""
        return self._captions.missed if self._captions else 0

    async def keep(self, captions: Broadcast[CaptionEvent]) -> None:
        """Write what is said until cancelled; what waits then is written before `close` is done."""
        with captions.subscribe(_ROOM) as self._captions:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._keep_in_order(), name="history's retention")
                    async for event in self._captions:
                        written = await self._write(partial(self._store.add, event))
                        self.lost += written is None
                        self.spans += bool(written)
            finally:
                for event in self._captions.take():
                    self._writer.submit(self._store.add, event)

    async def search(self, wanted: Wanted, limit: int, before: int | None) -> list[Span]:
        """Find spans as `Reading.newest` does.

        Raises:
            HistoryBusy: If too many ask, or it takes too long.
            HistoryError: If it cannot be read.
        """
        return await self._ask(partial(self._reading.newest, wanted, limit, before))

    async def timeline(self, wanted: Wanted, buckets: int) -> dict[str, Any]:
        """Count as `Reading.timeline` does; raises what `search` raises."""
        return await self._ask(partial(self._reading.timeline, wanted, buckets))

    async def all(self, wanted: Wanted) -> AsyncIterator[list[Span]]:
        """Give all spans in time's order, some at a time; raises what `search` raises."""
        after: int | None = None
        while True:
            page = await self._ask(partial(self._reading.oldest, wanted, MOST_SPANS, after))
            if page:
                yield page
            if len(page) < MOST_SPANS:
                return
            after = page[-1].id

    async def delete(self, wanted: Wanted) -> int:
        """Delete spans; return how many.

        Raises:
            HistoryError: If they could not all be deleted.
        """
        deleted = await self._write(partial(self._store.delete, wanted))
        if deleted is None:
            raise HistoryError("the history cannot be written now; the server's log says why")
        return deleted

    async def close(self) -> None:
        """Write what is not written yet, and close the file; safe to call more than once."""
        if self._closed:
            return
        self._closed = True
        closing = [
            asyncio.get_running_loop().run_in_executor(executor, close)
            for executor, close in (
                (self._writer, self._close_store),
                (self._reader, self._reading.close),
            )
        ]
        # A disk that hangs must not keep the server from ending.
        await asyncio.wait(closing, timeout=_CLOSE_S)
        self._writer.shutdown(wait=False, cancel_futures=True)
        self._reader.shutdown(wait=False, cancel_futures=True)

    def _close_store(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._store.close()

    async def _keep_in_order(self) -> None:
        retained = -_RETAIN_EVERY_S
        while True:
            if time.monotonic() - retained >= _RETAIN_EVERY_S:
                await self._write(self._store.retain)
                retained = time.monotonic()
            with contextlib.suppress(HistoryError, HistoryBusy):
                self.bytes = await self._ask(self._reading.bytes)
            await asyncio.sleep(_NOTE_EVERY_S)
            await self._write(self._store.note_ends)

    async def _write(self, work: Callable[[], T]) -> T | None:
        """Write in the writer's thread; what fails is logged once, until it succeeds again.

        Returns:
            What the work does, falsy if it found nothing to write; None if it fails.
        """
        loop = asyncio.get_running_loop()
        try:
            done = await loop.run_in_executor(self._writer, work)
        except sqlite3.Error as problem:
            if not self._fails:
                logger.error(
                    "history %s cannot be written, captions are lost to it: %s",
                    self._path,
                    problem,
                )
            self._fails = True
            return None
        if done and self._fails:
            logger.warning("history %s can be written again", self._path)
            self._fails = False
        return done

    async def _ask(self, question: Callable[[], T]) -> T:
        if self._questions >= _MOST_QUESTIONS:
            raise HistoryBusy("too many questions wait for the history: ask again later")
        self._questions += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._reader, question)
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorname == "SQLITE_INTERRUPT":
                raise HistoryBusy("that takes too long: ask for a shorter time") from problem
            raise HistoryError(f"the history cannot be read: {problem}") from problem
        except sqlite3.Error as problem:
            raise HistoryError(f"the history cannot be read: {problem}") from problem
        finally:
            self._questions -= 1
