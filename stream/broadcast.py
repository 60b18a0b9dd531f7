"""One event to many listeners, none of which can hold up the others."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, Self, TypeVar

Event = TypeVar("Event")


logger = logging.getLogger(__name__)


class Broadcast(Generic[Event]):
    """Tells each event to whoever listens; on the event loop."""

    def __init__(self) -> None:
        """Start with no listener."""
        self._listeners: dict[object, Callable[[Event], None]] = {}

    def __len__(self) -> int:
        return len(self._listeners)

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call the listener, which must not wait, with each event; return what ends that."""
        key = object()
        self._listeners[key] = listener
        return lambda: self._listeners.pop(key, None) and None

    def subscribe(self, room: int) -> "Subscription[Event]":
        """Collect events for one reader, which may be slow: no more than `room` wait for it."""
        return Subscription(self, room)

    def publish(self, event: Event) -> None:
        """Tell everyone who listens now; one that fails is logged, and hinders no other."""
        for listener in list(self._listeners.values()):
            try:
                listener(event)
            except Exception:
                logger.exception("%s could not take an event", listener)


class Subscription(Generic[Event]):
    """The events for one reader, in order; an asynchronous iterator and a context manager."""

    missed: int
    """Events that a reader who was too slow has lost: the oldest go first."""

    def __init__(self, broadcast: Broadcast[Event], room: int) -> None:
        """Collect from now on."""
        self.missed = 0
        self._waiting: deque[Event] = deque(maxlen=room)
        self._came = asyncio.Event()
        self._unlisten = broadcast.listen(self._put)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        return self._waiting.popleft()

    def take(self) -> list[Event]:
        """Return all that waits now, the oldest first."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def close(self) -> None:
        """Collect no more."""
        self._unlisten()

    def _put(self, event: Event) -> None:
        self.missed += len(self._waiting) == self._waiting.maxlen
        self._waiting.append(event)
        self._came.set()
