"""In-process publish/subscribe: one event to many subscribers, none of which can block the rest."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, Self, TypeVar

Event = TypeVar("Event")

logger = logging.getLogger(__name__)


class Broadcast(Generic[Event]):
    """Delivers each published event to all current subscribers, on the event loop."""

    def __init__(self) -> None:
        """Start without subscribers."""
        self._callbacks: dict[object, Callable[[Event], None]] = {}

    def __len__(self) -> int:
        return len(self._callbacks)

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call a function, which must not block, with each event; return how to unsubscribe."""
        key = object()
        self._callbacks[key] = callback
        return lambda: self._callbacks.pop(key, None) and None

    def queue(self, max_size: int) -> "Subscription[Event]":
        """Queue events for a reader that may be slow; when the queue is full the oldest is lost."""
        return Subscription(self, max_size)

    def publish(self, event: Event) -> None:
        """Call every subscriber; log the exception of one that fails and go on with the others."""
        for callback in list(self._callbacks.values()):
            try:
                callback(event)
            except Exception:
                logger.exception("subscriber %s failed to handle an event", callback)


class Subscription(Generic[Event]):
    """A bounded queue of events for one reader: an async iterator and a context manager."""

    dropped: int
    """Events that were lost because the queue was full, the oldest first."""

    def __init__(self, broadcast: Broadcast[Event], max_size: int) -> None:
        """Queue events from now on."""
        self.dropped = 0
        self._events: deque[Event] = deque(maxlen=max_size)
        self._has_events = asyncio.Event()
        self._unsubscribe = broadcast.subscribe(self._put)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            self._has_events.clear()
            await self._has_events.wait()
        return self._events.popleft()

    def take_all(self) -> list[Event]:
        """Remove and return all queued events, the oldest first, without waiting."""
        events = list(self._events)
        self._events.clear()
        return events

    def close(self) -> None:
        """Unsubscribe; events that are already queued can still be read."""
        self._unsubscribe()

    def _put(self, event: Event) -> None:
        self.dropped += len(self._events) == self._events.maxlen
        self._events.append(event)
        self._has_events.set()
