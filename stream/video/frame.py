"""A picture on its way through a session.

The one place between two stages of the live path: newest wins.
"""

import asyncio
from dataclasses import dataclass
from typing import Generic, TypeVar

import av

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture; its buffer is shared and must never be written to."""

    image: av.VideoFrame
    captured: float
    """When the server had it, Unix time in seconds."""


class Slot(Generic[Item]):
    """Holds one item at most; what a newer one replaces is lost, and counted.

    For one consumer, on the event loop.
    """

    replaced: int
    """Items that were never taken."""

    def __init__(self) -> None:
        """Make an empty slot."""
        self.replaced = 0
        self._items: list[Item] = []
        self._filled = asyncio.Event()

    def put(self, item: Item) -> None:
        """Put the newest item in, in place of what is there."""
        self.replaced += len(self._items)
        self._items = [item]
        self._filled.set()

    async def take(self) -> Item:
        """Wait for an item that was not taken before, and take it."""
        await self._filled.wait()
        self._filled.clear()
        return self._items.pop()
