"""One connection to a source, opened and read in a daemon thread that may hang."""

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
"""How long to wait for a source to close. A source that hangs is left to its thread, which frees it
when it returns."""

Result = TypeVar("Result")


class SourceReader:
    """Opens and reads a source in a thread, and delivers the latest frame to the event loop."""

    done: "asyncio.Future[None]"
    """Done when the thread ends; raises SourceError if the source could not be opened or failed.
    Wait for it without cancelling it."""

    def __init__(
        self, open_: Callable[[], Source], on_frame: Callable[[Frame], None], name: str
    ) -> None:
        """Start to open the source.

        Args:
            open_: Opens the source; may block.
            on_frame: Called on the event loop with each frame. A frame that the loop is too slow to
                take is replaced by the next.
            name: Name of the threads.
        """
        self._open, self._on_frame, self._name = open_, on_frame, name
        self._loop = asyncio.get_running_loop()
        # Log records about a frame carry the feed's ids.
        self._context = copy_context()
        # Guards the attributes below, which the threads and the loop change.
        self._lock = threading.Lock()
        self._source: Source | None = None
        self._closed = False
        self._latest: Frame | None = None
        self._replaced = 0
        self.done = run_in_daemon_thread(self._run, name)
        self.done.add_done_callback(_consume_exception)

    @property
    def replaced(self) -> int:
        """Number of frames that were dropped because the source or the loop was too slow."""
        source = self._source
        return self._replaced + (source.replaced if source else 0)

    async def close(self) -> None:
        """Deliver no more frames, and free the source; returns within a bounded time.

        A source that hangs stays in its thread until `done`.
        """
        with self._lock:
            self._closed = True
            source, self._latest = self._source, None
        if source and not self.done.done():
            closing = run_in_daemon_thread(source.close, f"{self._name} closing")
            closing.add_done_callback(_consume_exception)
            await asyncio.wait({closing}, timeout=CLOSE_S)
            await asyncio.wait({self.done}, timeout=CLOSE_S)

    def _run(self) -> None:
        try:
            self._read()
        finally:
            # PyAV's objects form reference cycles, which would hold FFmpeg's decoder state (tens of
            # megabytes) until Python's next collection.
            gc.collect()

    def _read(self) -> None:
        with self._open() as source:
            with self._lock:
                if self._closed:
                    return
                self._source = source
            try:
                for frame in source.frames():
                    if not self._hand_over(frame.to_frame()):
                        return
            finally:
                with self._lock:
                    self._replaced += source.replaced
                    self._source = None

    def _hand_over(self, frame: Frame) -> bool:
        with self._lock:
            if self._closed:
                return False
            is_scheduled, self._latest = self._latest is not None, frame
            self._replaced += is_scheduled
        if not is_scheduled:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._deliver, context=self._context)
        return True

    def _deliver(self) -> None:
        with self._lock:
            frame, self._latest = self._latest, None
        if frame:
            self._on_frame(frame)


def run_in_daemon_thread(work: Callable[[], Result], name: str) -> "asyncio.Future[Result]":
    """Run a blocking function in a new daemon thread; cancel the future to stop waiting for it.

    Unlike an executor's threads, a daemon thread is not joined when the process exits: a disk or a
    name server that never responds must not delay the exit.

    Args:
        work: The blocking function.
        name: Name of the thread.
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
        # The loop may be closed by now, and then nothing waits for the result.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, problem)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


def _consume_exception(future: "asyncio.Future[None]") -> None:
    """Retrieve the exception of an abandoned future, so that asyncio does not log it."""
    if not future.cancelled():
        future.exception()
