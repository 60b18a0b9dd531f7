"""Rules under test: a watcher with scripted captions, and a store of states in memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from stream.captioning import CaptionEvent
from stream.history import Firing
from stream.publishing import Publications
from stream.rules import Rule, RuleWatcher, States


class MemoryStates:
    """A store of states that outlives a watcher."""

    def __init__(self) -> None:
        self.text = "{}"
        self.loads = 0

    async def load(self) -> States:
        """Return the states."""
        self.loads += 1
        states: States = json.loads(self.text)
        return states

    async def store(self, states: States) -> None:
        """Replace the states."""
        self.text = json.dumps(states)


class Watched:
    """A watcher that runs, and what it has reported."""

    def __init__(self, publications: Publications, watcher: RuleWatcher) -> None:
        self.publications, self.watcher = publications, watcher
        self.reported: list[Firing] = []

    def publish(self, *events: CaptionEvent) -> None:
        """Publish captions, as their streams do."""
        for event in events:
            self.publications.captions.publish(event)

    @property
    def began(self) -> list[Firing]:
        """The firings that began."""
        return [firing for firing in self.reported if firing.ended is None]


class SlowRecord:
    """A history that records firings only once it is released."""

    def __init__(self) -> None:
        self.recorded: list[Firing] = []
        self._released = asyncio.Event()

    async def record(self, firing: Firing) -> None:
        """Record a firing."""
        await self._released.wait()
        self.recorded.append(firing)

    async def release(self, count: int) -> None:
        """Record what waits, until there are so many."""
        self._released.set()
        async with asyncio.timeout(5):
            while len(self.recorded) < count:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def watching(
    rules: Mapping[str, Mapping[str, Any]],
    states: MemoryStates | None = None,
    events: Iterable[CaptionEvent] = (),
    record: SlowRecord | None = None,
) -> AsyncIterator[Watched]:
    """Run a watcher, and publish captions."""
    publications, states = Publications(), states or MemoryStates()
    watcher = RuleWatcher(publications, record.record if record else None)
    watched = Watched(publications, watcher)
    publications.rules.firings.subscribe(watched.reported.append)
    watcher.configure({name: Rule.model_validate(rule) for name, rule in rules.items()})
    before, subscribers = states.loads, len(publications.captions)
    running = asyncio.create_task(watcher.run(states))
    async with asyncio.timeout(10):
        while states.loads == before or len(publications.captions) == subscribers:
            await asyncio.sleep(0)
    watched.publish(*events)
    try:
        yield watched
    finally:
        running.cancel()
        await asyncio.wait({running})
