"""The history of all captions: an asynchronous interface to its threads."""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Self, TypeVar

from stream.broadcast import Broadcast, Subscription
from stream.captioning import CaptionEvent
from stream.history.backend import Backend, choose_backend
from stream.history.errors import HistoryBusy, HistoryError, WriteDelayed, WriteError
from stream.history.firing import Firing, FiringQuery, RecordedFiring
from stream.history.pictures import Picture, PictureKeeper, PictureSource
from stream.history.query import HistoryQuery
from stream.history.reader import MAX_SPANS, HistoryReader
from stream.history.settings import HistorySettings
from stream.history.span import Span
from stream.history.store import Store
from stream.quota import SERVER, Owner, Quota, Turns

_QUEUE_SIZE = 1000
"""Captions queued for writing; beyond that the oldest are dropped."""

_FLUSH_INTERVAL_S = 10.0
_RETENTION_INTERVAL_S = 60.0
_MAX_REQUESTS = 16
_MAX_PICTURE_REQUESTS = 64
_MAX_WANTED = 2000
_REOPEN_S = 2.0
_NOT_OPEN = "the history's database has not been reached yet; try again later"
_CLOSE_S = 5.0
_FIRST_RETRY_S, _MAX_RETRY_S = 0.1, 5.0
"""Pauses between attempts to write while the database cannot be reached."""

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


class History:
    """Records captions and searches them; access to the database is confined to three threads.

    While a file cannot be written, for example on a full disk, captions are counted as lost. While
    a PostgreSQL database cannot be reached, they are queued, and the oldest are lost only if the
    queue overflows. Everything else continues.
    """

    lost = 0
    """Captions that could not be written."""
    bytes = 0
    """Size of what is stored, updated every few seconds."""

    def __init__(self, settings: HistorySettings, database: str | None = None) -> None:
        """Prepare a history; call `open` next.

        Args:
            settings: The settings, with a path unless there is a database.
            database: URL of a PostgreSQL database.

        Raises:
            HistoryError: If the database's driver is not installed.
        """
        self._settings, self._backend = settings, choose_backend(settings.path, database)
        self._write_executor = ThreadPoolExecutor(1, "history")
        self._store: Store | None = None
        self._readers: dict[bool, _Reading] = {}
        """By whether the owner of a request is an admin, who never waits for viewers."""
        self.pictures = PictureKeeper()
        """Stores pictures while captions are recorded, if the settings say so."""
        self._wanted: dict[str, float] = {}
        """Feeds whose next caption gets a picture, and since when."""
        self._requests = Quota(_MAX_REQUESTS, "history requests")
        self._picture_requests = Quota(_MAX_PICTURE_REQUESTS, "picture requests")
        self._is_failing = self._closed = False
        self._captions: Subscription[CaptionEvent] | None = None

    async def open(self) -> None:
        """Open the database, or create it; a later attempt may succeed if this one fails.

        Raises:
            HistoryError: If it cannot be used; the message says why.
        """
        settings, loop = self._settings, asyncio.get_running_loop()
        create = partial(
            self._backend.open_store, settings.days, settings.megabytes, settings.picture_limits
        )
        self._store = await loop.run_in_executor(self._write_executor, create)
        try:
            for is_admin in (True, False):
                self._readers[is_admin] = await _Reading.open(self._backend)
        except HistoryError:
            for reading in self._readers.values():
                await reading.close()
                reading.executor.shutdown(wait=False)
            self._readers.clear()
            await loop.run_in_executor(self._write_executor, self._close_store)
            self._store = None
            raise

    async def open_when_possible(self) -> None:
        """Open the database as soon as it can be reached; until then searches fail."""
        is_failing = False
        while not self._readers:
            try:
                await self.open()
            except HistoryError as problem:
                if not is_failing:
                    logger.error("%s; trying again", problem)
                is_failing = True
                await asyncio.sleep(_REOPEN_S)
            else:
                if is_failing:
                    logger.warning("history %s can be used now", self._backend.name)

    @property
    def settings(self) -> HistorySettings:
        """The settings."""
        return self._settings

    @property
    def dropped(self) -> int:
        """Captions that were lost because the queue was full."""
        return self._captions.dropped if self._captions else 0

    @property
    def spans(self) -> int:
        """Spans written since the start."""
        return self._store.written if self._store else 0

    async def record(
        self, captions: Broadcast[CaptionEvent], pictures: PictureSource | None = None
    ) -> None:
        """Write captions until cancelled; those that are queued then are written by `close`.

        Args:
            captions: Publishes them.
            pictures: Where pictures come from, if the settings say that they are stored.
        """
        assert self._store
        with captions.queue(_QUEUE_SIZE) as self._captions:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._maintain(self._store), name="history maintenance")
                    if pictures and self._settings.pictures != "off":
                        keeping = self.pictures.run(pictures, self._keep_pictures)
                        tasks.create_task(keeping, name="history pictures")
                    async for event in self._captions:
                        await self._add(self._store, event)
            finally:
                if queued := self._captions.take_all():
                    self._write_executor.submit(self._store.add_all, queued)

    async def search(
        self, query: HistoryQuery, limit: int, before: int | None, owner: Owner = SERVER
    ) -> list[Span]:
        """Return a page of spans as `HistoryReader.newest` does.

        Raises:
            QuotaExceeded: If too many requests are pending, of this owner or of all.
            HistoryBusy: If this one takes too long.
            HistoryError: If the database cannot be read.
        """
        with self._requests.use(owner):
            return await self._read(lambda reader: reader.newest(query, limit, before), owner)

    async def timeline(
        self, query: HistoryQuery, buckets: int, owner: Owner = SERVER
    ) -> dict[str, Any]:
        """Count spans as `HistoryReader.timeline` does; raises as `search`."""
        with self._requests.use(owner):
            return await self._read(lambda reader: reader.timeline(query, buckets), owner)

    async def summary(
        self, query: HistoryQuery, owner: Owner = SERVER, *, by_hour: bool = False
    ) -> dict[str, Any]:
        """Summarize captions as `HistoryReader.summary` does; raises as `search`."""
        with self._requests.use(owner):
            return await self._read(lambda reader: reader.summary(query, by_hour=by_hour), owner)

    def keep_picture(self, feed: str, since: float) -> None:
        """Store a picture of a feed's next caption, with the span that has it.

        Args:
            feed: Name of the feed; without effect for a stream whose pictures are not stored.
            since: Earliest time of the caption's frame, in seconds since the Unix epoch; it may be
                one that was published, but has not been written yet.
        """
        # The latest last. Streams that are gone never get their caption.
        self._wanted.pop(feed, None)
        if len(self._wanted) >= _MAX_WANTED:
            del self._wanted[next(iter(self._wanted))]
        # Callers round to milliseconds.
        self._wanted[feed] = since - 0.001

    async def picture(self, span_id: int, owner: Owner = SERVER) -> Picture | None:
        """Return a picture as `HistoryReader.picture` does; raises as `search`."""
        with self._picture_requests.use(owner):
            return await self._read(lambda reader: reader.picture(span_id), owner)

    async def pages(self, query: HistoryQuery, owner: Owner = SERVER) -> AsyncIterator[list[Span]]:
        """Yield all spans in pages, the oldest first; raises as `search`, except QuotaExceeded.

        Limit the number of such iterations: each waits for its turn without a limit.
        """
        after: int | None = None
        while True:
            page = await self._read(partial(_oldest, query, after), owner)
            if page:
                yield page
            if len(page) < MAX_SPANS:
                return
            after = page[-1].id

    async def record_firing(self, firing: Firing) -> None:
        """Write a firing, or its end; wait while the database cannot be reached.

        One that cannot be written is counted as lost.
        """
        pause = _FIRST_RETRY_S
        while True:
            if self._store:
                lost = self.lost
                if await self._write(partial(self._store.put_firing, firing)):
                    return
                if self.lost > lost:
                    return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _MAX_RETRY_S)

    async def firings(
        self, query: FiringQuery, limit: int, before: int | None, owner: Owner = SERVER
    ) -> list[RecordedFiring]:
        """Return a page of firings as `HistoryReader.firings` does; raises as `search`."""
        with self._requests.use(owner):
            return await self._read(lambda reader: reader.firings(query, limit, before), owner)

    async def firing_picture(self, firing: Firing) -> Picture | None:
        """Return a picture as `HistoryReader.firing_picture` does; raises as `search`."""
        with self._picture_requests.use(SERVER):
            return await self._read(lambda reader: reader.firing_picture(firing), SERVER)

    async def delete(self, query: HistoryQuery) -> int:
        """Delete spans; return their number.

        Raises:
            HistoryError: If not all of them could be deleted.
        """
        if self._store is None:
            raise HistoryError(_NOT_OPEN)
        deleted = await self._write(partial(self._store.delete, query))
        if deleted is None:
            raise HistoryError("the history cannot be written; see the server's log")
        logger.info("%d spans of the history were deleted on request", deleted)
        return deleted

    async def close(self) -> None:
        """Write what is not written yet, and close the database; safe to call more than once."""
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        closing = [loop.run_in_executor(self._write_executor, self._close_store)]
        closing += [reading.close() for reading in self._readers.values()]
        # Bounded, so that a disk or a network that hangs does not keep the server from stopping.
        await asyncio.wait(closing, timeout=_CLOSE_S)
        self._write_executor.shutdown(wait=False, cancel_futures=True)
        for reading in self._readers.values():
            reading.executor.shutdown(wait=False, cancel_futures=True)

    def _close_store(self) -> None:
        if not self._store:
            return
        with contextlib.suppress(WriteError):
            self._store.close()
        if self._store.unwritten:
            self.lost += self._store.unwritten
            logger.error(
                "history %s cannot be written, %d spans are lost",
                self._backend.name,
                self._store.unwritten,
            )

    async def _maintain(self, store: Store) -> None:
        """Flush extended spans, apply the retention and measure the size, periodically."""
        retained_at = -_RETENTION_INTERVAL_S
        while True:
            if time.monotonic() - retained_at >= _RETENTION_INTERVAL_S:
                await self._write(store.apply_retention)
                retained_at = time.monotonic()
            with contextlib.suppress(HistoryError, HistoryBusy):
                self.bytes = await self._read(HistoryReader.bytes, SERVER)
            await asyncio.sleep(_FLUSH_INTERVAL_S)
            await self._write(store.flush)

    async def _add(self, store: Store, event: CaptionEvent) -> None:
        """Add a caption; wait until it is written, or lost."""
        span = await self._write(partial(store.add, event))
        if span and self._settings.pictures == "changes":
            self.pictures.request(span.id, event)
        elif event.captured >= self._wanted.get(event.stream, math.inf):
            del self._wanted[event.stream]
            if pictured := span or await self._write(partial(store.open_span, event.stream)):
                self.pictures.request(pictured.id, event)
        if span:
            return
        pause = _FIRST_RETRY_S
        while store.unwritten:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _MAX_RETRY_S)
            await self._write(store.flush)

    async def _keep_pictures(self, pictures: Collection[Picture]) -> list[Picture]:
        """Store pictures as `Store.keep_pictures`, between captions."""
        assert self._store
        keep, loop = partial(self._store.keep_pictures, pictures), asyncio.get_running_loop()
        return await loop.run_in_executor(self._write_executor, keep)

    async def _write(self, work: Callable[[], Result]) -> Result | None:
        """Run in the writing thread; log a failure once, until a write succeeds again.

        Returns:
            The result, falsy if there was nothing to write; None if it failed.
        """
        loop = asyncio.get_running_loop()
        try:
            result = await loop.run_in_executor(self._write_executor, work)
        except WriteError as problem:
            is_delayed = isinstance(problem, WriteDelayed)
            self.lost += problem.lost
            if not self._is_failing:
                fate = "queued" if is_delayed else "lost"
                logger.error("captions are %s: %s", fate, problem)
            self._is_failing = True
            return None
        if result and self._is_failing:
            logger.warning("history %s can be written again", self._backend.name)
            self._is_failing = False
        return result

    async def _read(self, work: Callable[[HistoryReader], Result], owner: Owner) -> Result:
        """Run in the reading thread of the owner's role, when it is the owner's turn."""
        if not self._readers:
            raise HistoryError(_NOT_OPEN)
        return await self._readers[owner.is_admin].run(work, owner)


class _Reading:
    """A reader in a thread of its own, which its users take turns to use."""

    def __init__(self, executor: ThreadPoolExecutor, reader: HistoryReader) -> None:
        self.executor, self._reader = executor, reader
        self._turns = Turns()

    @classmethod
    async def open(cls, backend: Backend) -> Self:
        """Open the database in a new thread; raises `HistoryError`."""
        executor = ThreadPoolExecutor(1, "history reading")
        try:
            loop = asyncio.get_running_loop()
            return cls(executor, await loop.run_in_executor(executor, backend.open_reader))
        except HistoryError:
            executor.shutdown(wait=False)
            raise

    async def run(self, work: Callable[[HistoryReader], Result], owner: Owner) -> Result:
        """Run in the thread when it is the owner's turn."""
        async with self._turns.take(owner):
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self.executor, work, self._reader)

    def close(self) -> asyncio.Future[None]:
        """Close the database in the thread."""
        return asyncio.get_running_loop().run_in_executor(self.executor, self._reader.close)


def _oldest(query: HistoryQuery, after: int | None, reader: HistoryReader) -> list[Span]:
    return reader.oldest(query, MAX_SPANS, after)
