"""HTTP subscribers: clients that follow captions in an open response, up to a limit."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

from stream.broadcast import Subscription
from stream.publishing import StreamUpdate
from stream.quota import Owner, Quota
from web.settings import SubscribersSettings

QUEUE_SIZE = 64
"""Updates queued for one subscriber; beyond that the oldest are dropped."""

HEADERS = {
    "Cache-Control": "no-store",
    # Keeps a reverse proxy from buffering the response (nginx).
    "X-Accel-Buffering": "no",
}

_POLL_S = 1.0
"""How often an idle subscriber is checked for disconnection and a due heartbeat."""


class Subscribers:
    """The open subscriptions: limits and counts them, and ends them when the server stops."""

    dropped = 0
    """Updates that subscribers missed because they were too slow, in total."""

    def __init__(self, settings: SubscribersSettings) -> None:
        """Start without subscribers."""
        self.settings = settings
        self._tasks: set[asyncio.Task[object]] = set()
        self._quota = Quota(settings.limit, "subscribers")

    def __len__(self) -> int:
        return len(self._tasks)

    @contextmanager
    def admit(self, owner: Owner) -> Iterator[None]:
        """Count the current task as a subscriber while the context lasts.

        Raises:
            QuotaExceeded: If the limit is reached, of the owner's address or of all.
        """
        task = asyncio.current_task()
        assert task
        with self._quota.use(owner):
            self._tasks.add(task)
            try:
                yield
            finally:
                self._tasks.discard(task)

    async def close(self) -> None:
        """Cancel all subscriptions."""
        for task in list(self._tasks):
            task.cancel()


SUBSCRIBERS = web.AppKey("subscribers", Subscribers)


async def stream_updates(
    request: web.Request,
    content_type: str,
    updates: Subscription[StreamUpdate],
    encode: Callable[[StreamUpdate], str | None],
    *,
    head: str = "",
    heartbeat: str,
    encode_dropped: Callable[[int], str] = lambda count: "",
    is_complete: Callable[[], bool] = lambda: False,
) -> web.StreamResponse:
    """Write updates until the client disconnects, the server stops, or the stream ends.

    Args:
        request: The subscriber's request.
        content_type: The response's content type.
        updates: The subscription; it drops the oldest updates of a slow subscriber.
        encode: Returns the text of an update, "" to skip it, or None to end the response.
        head: Text at the beginning of the response.
        heartbeat: Text written when nothing else was written for `heartbeat_s`.
        encode_dropped: Returns the text that reports how many updates were dropped since the
            last report.
        is_complete: Whether to end the response after the latest update.
    """
    subscribers = request.app[SUBSCRIBERS]
    settings = subscribers.settings
    response = web.StreamResponse(headers={**HEADERS, "Content-Type": content_type})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError, TimeoutError):
        await _write(response, head, settings)
        dropped, loop = 0, asyncio.get_running_loop()
        written_at = loop.time()
        while not (is_complete() or _is_disconnected(request)):
            text = ""
            with contextlib.suppress(TimeoutError):
                encoded = encode(await asyncio.wait_for(anext(updates), _POLL_S))
                if encoded is None:
                    break
                text = encoded
            if updates.dropped > dropped:
                text = encode_dropped(updates.dropped - dropped) + text
                subscribers.dropped += updates.dropped - dropped
                dropped = updates.dropped
            if not text and loop.time() - written_at >= settings.heartbeat_s:
                text = heartbeat
            if text:
                await _write(response, text, settings)
                written_at = loop.time()
        await response.write_eof()
    return response


async def _write(response: web.StreamResponse, text: str, settings: SubscribersSettings) -> None:
    async with asyncio.timeout(settings.unread_s):
        await response.write(text.encode())


def _is_disconnected(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()
