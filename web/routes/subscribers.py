"""Those who follow captions over HTTP: so many and no more, each as slow as it likes."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

from stream.broadcast import Subscription
from stream.publishing import News
from web.errors import error
from web.settings import DoorsSettings

ROOM = 64
"""What may wait for one reader; of more the oldest is lost."""


_LOOK_S = 1.0
"""How often a reader to whom there is nothing to tell is looked after."""


_RETRY_S = 10


HEADERS = {
    "Cache-Control": "no-store",
    # Or a proxy before the server would collect what is to be read at once (nginx).
    "X-Accel-Buffering": "no",
}


class TooManyReaders(RuntimeError):
    """As many read as may."""


class Readers:
    """Counts who reads, and ends them all when the server does."""

    lost = 0
    """What readers who were too slow have missed, of all of them together."""

    def __init__(self, settings: DoorsSettings) -> None:
        """Start with none."""
        self.settings = settings
        self._tasks: set[asyncio.Task[object]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count this task as a reader for as long as the context lasts.

        Raises:
            TooManyReaders: If there are as many as may be.
        """
        if len(self._tasks) >= self.settings.readers:
            raise TooManyReaders(f"{self.settings.readers} programs read already")
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            yield
        finally:
            self._tasks.discard(task)

    async def close(self) -> None:
        """End all."""
        for task in list(self._tasks):
            task.cancel()


READERS = web.AppKey("readers", Readers)


def too_many(problem: TooManyReaders) -> web.Response:
    """Ask to come again later."""
    retry = {"Retry-After": str(_RETRY_S)}
    return error(503, "server-full", f"{problem}; try again later", retry)


async def follow(
    request: web.Request,
    content_type: str,
    door: Subscription[News],
    tell: Callable[[News], str | None],
    *,
    head: str = "",
    heartbeat: str,
    missed: Callable[[int], str] = lambda count: "",
    enough: Callable[[], bool] = lambda: False,
) -> web.StreamResponse:
    """Write what is new until the reader goes, the server stops, or there is nothing to come.

    Args:
        request: The reader's.
        content_type: Of the response.
        door: What is new; a reader who is too slow misses some of it.
        tell: Makes text of it; None ends the response.
        head: What comes first.
        heartbeat: Is written when nothing else was for some time.
        missed: Tells how much was missed since the last time.
        enough: Whether the response is to end after what was told.
    """
    readers = request.app[READERS]
    settings = readers.settings
    response = web.StreamResponse(headers={**HEADERS, "Content-Type": content_type})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError, TimeoutError):
        await _write(response, head, settings)
        lost, loop = 0, asyncio.get_running_loop()
        written = loop.time()
        while not (enough() or _is_gone(request)):
            text = ""
            with contextlib.suppress(TimeoutError):
                told = tell(await asyncio.wait_for(anext(door), _LOOK_S))
                if told is None:
                    break
                text = told
            if door.missed > lost:
                text = missed(door.missed - lost) + text
                readers.lost += door.missed - lost
                lost = door.missed
            if not text and loop.time() - written >= settings.heartbeat_s:
                text = heartbeat
            if text:
                await _write(response, text, settings)
                written = loop.time()
        await response.write_eof()
    return response


async def _write(response: web.StreamResponse, text: str, settings: DoorsSettings) -> None:
    async with asyncio.timeout(settings.unread_s):
        await response.write(text.encode())


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()
