"""Feeds that run in media processes: each stays at its place as long as that has a process."""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Mapping
from typing import Protocol

from stream.feeds import FeedSettings
from stream.media.channel import ChannelClosed
from stream.media.remote_streams import RemoteStreams
from stream.media.slot import Slot

_RELOAD_S = 10.0
"""How long a process may take to stop feeds and to start others."""

logger = logging.getLogger(__name__)


class FeedPlacement(Protocol):
    """Chooses where a feed runs."""

    def slot_for_feed(self) -> Slot:
        """Return the slot for another feed."""

    def on_placed(self) -> None:
        """Note that something was placed."""


class RemoteFeeds:
    """The feeds of a server whose media processes run them."""

    def __init__(self, streams: RemoteStreams, placement: FeedPlacement) -> None:
        """Start without feeds.

        Args:
            streams: The published streams.
            placement: Chooses where a feed runs.
        """
        self._streams, self._placement = streams, placement
        self._slots: dict[str, Slot] = {}
        self._reloading = asyncio.Lock()
        self._sending: set[asyncio.Task[None]] = set()

    async def reload(self, settings: Mapping[str, FeedSettings]) -> None:
        """Run exactly these feeds: start new ones, stop removed ones, and restart changed ones.

        A feed whose settings are unchanged continues, and so do its viewers.
        """
        async with self._reloading:
            changed: set[Slot] = set()
            for name in self._slots.keys() - settings.keys():
                slot = self._slots.pop(name)
                del slot.feeds[name]
                changed.add(slot)
            for name, feed in settings.items():
                slot = self._slots.get(name) or self._placement.slot_for_feed()
                if slot.feeds.get(name) != feed:
                    self._slots[name], slot.feeds[name] = slot, feed
                    changed.add(slot)
            self._placement.on_placed()
            self._streams.drop_feeds(self._slots)
            for name, feed in settings.items():
                self._streams.expect(name, feed)
            await asyncio.gather(*map(self._send, changed))

    async def close(self) -> None:
        """Stop all feeds; returns within a bounded time, even if a source hangs."""
        await self.reload({})
        sending = list(self._sending)
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)

    def on_ready(self, slot: Slot) -> None:
        """Start the feeds of a slot whose process is ready."""
        if slot.feeds:
            task = asyncio.create_task(self._send(slot), name="feeds")
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    def move(self, slot: Slot, others: Collection[Slot]) -> None:
        """Move the feeds of a slot that gets no process to slots that have one.

        Feeds of a process that ran and ended stay: one of them may have ended it, and would end
        the next process too.
        """
        if not others:
            return
        for name in list(slot.feeds):
            other = min(others, key=lambda each: each.weight)
            self._slots[name], other.feeds[name] = other, slot.feeds.pop(name)
        for other in others:
            self.on_ready(other)

    async def _send(self, slot: Slot) -> None:
        if slot.process is None:
            # They start with its next process.
            return
        with contextlib.suppress(ChannelClosed):
            try:
                await asyncio.wait_for(slot.send_feeds(), _RELOAD_S)
            except TimeoutError:
                logger.warning("media process %d is slow to change its feeds", slot.number)
