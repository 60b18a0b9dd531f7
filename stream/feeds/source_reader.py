"""One connection to a source, from opening it until it is over.

Work that may hang, in a thread that nobody has to wait for.
"""

import asyncio
import contextlib
import gc
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import TypeVar

from stream.sources import Source
from stream.video import Frame

CLOSE_S = 2.0
"""How long closing is waited for. A source that hangs is left to its thread, which frees it when
it comes back."""

Result = TypeVar("Result")


class Reception:
    """Opens and reads a source in a thread, and hands the newest picture to the event loop."""

    def __init__(
        self, open_: Callable[[], Source], take: Callable[[Frame], None], name: str
    ) -> None:
        """Begin to open the source.

        Args:
            open_: Opens it; may block.
            take: Is called on the event loop with each picture; one that the loop has no time for
                is replaced by the next.
            name: Of the threads.
        """
        self._open, self._take, self._name = open_, take, name
        self._loop = asyncio.get_running_loop()
        # What is logged of a picture is logged as of this feed.
        self._context = copy_context()
        # Guards what follows, which both threads and the loop change.
        self._lock = threading.Lock()
        self._source: Source | None = None
        self._closed = False
        self._newest: Frame | None = None
        self._replaced = 0
        self.over = in_own_thread(self._receive, name)
        """Done when the thread is: with a SourceError if the source could not be opened, or
        failed. Wait for it without cancelling it."""
        self.over.add_done_callback(_retrieve)

    @property
    def replaced(self) -> int:
        """Pictures that came while an older one still waited, which was lost."""
        source = self._source
        return self._replaced + (source.replaced if source else 0)

    async def close(self) -> None:
        """Take no more pictures, and free the source; returns within a bounded time.

        What hangs goes on in its thread until `over`.
        """
        with self._lock:
            self._closed = True
            source, self._newest = self._source, None
        if source and not self.over.done():
            closing = in_own_thread(source.close, f"{self._name} closing")
            closing.add_done_callback(_retrieve)
            await asyncio.wait({closing}, timeout=CLOSE_S)
            await asyncio.wait({self.over}, timeout=CLOSE_S)

    def _receive(self) -> None:
        try:
            self._play()
        finally:
            # PyAV's objects refer to one another in a circle: what FFmpeg decoded with, tens of
            # megabytes, would be held until Python happens to look for such circles.
            gc.collect()

    def _play(self) -> None:
        with self._open() as source:
            with self._lock:
                if self._closed:
                    return
                self._source = source
            try:
                for frame in source.frames():
                    if not self._hand_over(Frame(frame.image, frame.captured)):
                        return
            finally:
                with self._lock:
                    self._replaced += source.replaced
                    self._source = None

    def _hand_over(self, frame: Frame) -> bool:
        with self._lock:
            if self._closed:
                return False
            waiting, self._newest = self._newest is not None, frame
            self._replaced += waiting
        if not waiting:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._deliver, context=self._context)
        return True

    def _deliver(self) -> None:
        with self._lock:
            frame, self._newest = self._newest, None
        if frame:
            self._take(frame)


def _retrieve(future: "asyncio.Future[None]") -> None:
    """Take note of a failure that nobody waits for, so that asyncio does not complain of it."""
    if not future.cancelled():
        future.exception()


def in_own_thread(work: Callable[[], Result], name: str) -> "asyncio.Future[Result]":
    """Begin the work in a new thread; cancel the future to wait for it no longer.

    The thread is a daemon, unlike those of an executor, each of which is waited for when the
    process ends: a disk or a name server that never answers must not hold it up.

    Args:
        work: What may block.
        name: Of the thread.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, problem: BaseException | None) -> None:
        if future.done():
            return
        if problem is not None:
            future.set_exception(problem)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, problem = None, None
        try:
            result = work()
        except BaseException as raised:
            problem = raised
        # The loop may be closed by now, and then nobody waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, problem)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
