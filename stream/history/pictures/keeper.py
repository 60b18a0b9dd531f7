"""Keeping pictures: they are read, encoded and written beside the captions, which never wait."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import NamedTuple, Protocol

from stream.broadcast import Broadcast
from stream.captioning import CaptionEvent, display_text
from stream.history.errors import WriteError
from stream.history.pictures.table import KeptPicture, Picture, maps_json

MAX_WAITING = 64
"""Spans that wait for their picture; beyond that new ones get none."""

_READERS = 4
_READ_S = 5.0
_MAX_IMAGE_BYTES = 200_000

logger = logging.getLogger(__name__)


class PictureSource(Protocol):
    """Where the pictures of captions come from."""

    def offers(self, event: CaptionEvent) -> bool:
        """Return whether pictures of the caption's stream may be stored at all."""

    async def read(self, event: CaptionEvent) -> bytes:
        """Return a caption's frame as a small WebP; raises LookupError if it is gone."""


class _Request(NamedTuple):
    span: int
    event: CaptionEvent


class PictureKeeper:
    """Stores pictures of spans; what it cannot keep up with gets no picture, and is counted."""

    kept = 0
    """Pictures that were stored."""
    lost = 0
    """Spans that got no picture: too many waited, the frame was gone, or it was not written."""

    def __init__(self) -> None:
        """Start without requests; `run` answers them."""
        self.stored: Broadcast[KeptPicture] = Broadcast()
        """Publishes each picture that was stored."""
        self._source: PictureSource | None = None
        self._requests: asyncio.Queue[_Request] = asyncio.Queue(MAX_WAITING)
        self._read: asyncio.Queue[KeptPicture] = asyncio.Queue(MAX_WAITING)
        self._is_failing = False

    def request(self, span: int, event: CaptionEvent) -> None:
        """Store a picture of a caption's frame with a span, later.

        Args:
            span: Id of a span that has been written.
            event: A caption of the span, one of the stream's last.
        """
        if self._source is None or not self._source.offers(event):
            return
        try:
            self._requests.put_nowait(_Request(span, event))
        except asyncio.QueueFull:
            self.lost += 1

    async def run(
        self,
        source: PictureSource,
        write: Callable[[Collection[Picture]], Awaitable[list[Picture]]],
    ) -> None:
        """Read and write pictures until cancelled.

        Args:
            source: Where they come from.
            write: Stores pictures, and returns those that it stored; may raise `WriteError`.
        """
        self._source = source
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(_READERS):
                    tasks.create_task(self._read_pictures(source), name="pictures")
                tasks.create_task(self._write_pictures(write), name="pictures")
        finally:
            self._source = None
            for queue in (self._requests, self._read):
                while not queue.empty():
                    queue.get_nowait()

    async def _read_pictures(self, source: PictureSource) -> None:
        while True:
            span, event = await self._requests.get()
            try:
                async with asyncio.timeout(_READ_S):
                    image = await source.read(event)
            except (LookupError, TimeoutError):
                self.lost += 1
                continue
            except Exception as problem:
                self.lost += 1
                self._log_failure(problem)
                continue
            if len(image) > _MAX_IMAGE_BYTES:
                self.lost += 1
                continue
            picture = Picture(span, image, maps_json(event))
            said = display_text(event.caption)
            await self._read.put(KeptPicture(picture, event.stream, said, event.captured))

    async def _write_pictures(
        self, write: Callable[[Collection[Picture]], Awaitable[list[Picture]]]
    ) -> None:
        while True:
            batch = [await self._read.get()]
            # Together, as each transaction waits for the disk.
            while not self._read.empty():
                batch.append(self._read.get_nowait())
            try:
                written = await write([each.picture for each in batch])
            except WriteError as problem:
                self.lost += len(batch)
                self._log_failure(problem)
                continue
            if self._is_failing:
                logger.warning("pictures can be stored again")
            self._is_failing = False
            self.kept += len(written)
            spans = {each.span for each in written}
            for each in batch:
                if each.picture.span in spans:
                    self.stored.publish(each)

    def _log_failure(self, problem: Exception) -> None:
        """Log when pictures cannot be stored, not each time."""
        if not self._is_failing:
            logger.error("pictures cannot be stored: %s", problem)
        self._is_failing = True
