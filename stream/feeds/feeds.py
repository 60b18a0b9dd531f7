"""All feeds of the configuration."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stream.feeds.feed import Feed
from stream.feeds.settings import FeedSettings
from stream.publications import Publications
from stream.surroundings import Surroundings

STOP_S = 8.0
"""How long feeds are waited for when they are stopped."""


class _Running(NamedTuple):
    feed: Feed
    task: "asyncio.Task[None]"


class Feeds:
    """Runs the feeds that it is told, and no others: no source is ever named by a client."""

    def __init__(self, shared: Surroundings, publications: Publications) -> None:
        """Start with none; each one that runs is published."""
        self._shared, self._publications = shared, publications
        self._running: dict[str, _Running] = {}
        self._changing = asyncio.Lock()

    def __iter__(self) -> Iterator[Feed]:
        return iter([running.feed for running in self._running.values()])

    def __len__(self) -> int:
        return len(self._running)

    async def reload(self, settings: Mapping[str, FeedSettings]) -> None:
        """Run these feeds: start new ones, stop those that are gone, and change the others.

        A feed whose settings stay the same is left alone, and so are its viewers; any other
        begins anew.
        """
        async with self._changing:
            await self._stop(
                [
                    name
                    for name, running in self._running.items()
                    if settings.get(name) != running.feed.settings
                ]
            )
            for name, wanted in settings.items():
                if name not in self._running:
                    feed = Feed(name, wanted, self._shared, self._publications)
                    task = asyncio.create_task(feed.run(), name=f"feed {name}")
                    self._running[name] = _Running(feed, task)

    async def close(self) -> None:
        """Stop all; returns within a bounded time, whatever hangs."""
        await self.reload({})

    async def _stop(self, names: list[str]) -> None:
        tasks = [self._running.pop(name).task for name in names]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_S)
