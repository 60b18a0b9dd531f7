"""A feed: a camera of the configuration, captioned whether or not anyone looks.

All feeds of the configuration.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import NamedTuple

from stream.captioned_stream import CaptionedStream, Signal, SignalState
from stream.context import Surroundings, log_as
from stream.feeds.camera import Camera, Demand
from stream.feeds.settings import FeedSettings
from stream.publishing import NameTaken, Publications
from stream.rate_limit import Pauses

_NAME_TAKEN_S = 10.0

logger = logging.getLogger(__name__)

STOP_S = 8.0
"""How long feeds are waited for when they are stopped."""


class Feed:
    """One feed, published under its name; `run` it, and cancel that to end it."""

    def __init__(
        self, name: str, settings: FeedSettings, shared: Surroundings, publications: Publications
    ) -> None:
        """Prepare a feed; nothing is opened before `run`."""
        self.name, self.settings = name, settings
        self._publications = publications
        self.stream = CaptionedStream(
            name, shared, title=settings.title, interval_s=settings.interval_s
        )
        self.stream.maps.explanations = settings.explanations
        self._demand = Demand(always=settings.run == "always")
        self.camera = Camera(name, settings, self.stream.intake, self._demand, self._on_signal)

    async def run(self) -> None:
        """Caption what the camera sends until cancelled, then free all that is held."""
        log_as(feed=self.name)
        end_listening = self.stream.audience.listen(
            lambda viewers: self._demand.tell(watched=viewers > 0)
        )
        try:
            async with asyncio.TaskGroup() as parts:
                for part in (self._publish, self.camera.run, self.stream.run):
                    parts.create_task(self._keep_going(part), name=f"feed {self.name}")
        finally:
            end_listening()
            self._publications.remove(self.stream)
            await self.stream.close()

    async def _publish(self) -> None:
        while True:
            try:
                self._publications.add(self.stream)
            except NameTaken:
                logger.warning("feed %s waits: a session is published as that", self.name)
                await asyncio.sleep(_NAME_TAKEN_S)
            else:
                return

    async def _keep_going(self, part: Callable[[], Awaitable[None]]) -> None:
        """Run a part again, after a pause, should it fail in a way that was not foreseen."""
        pauses = Pauses()
        while True:
            try:
                return await part()
            except Exception:
                pause_s = pauses.next_s()
                logger.exception("feed %s failed; it goes on in %.0f s", self.name, pause_s)
                await asyncio.sleep(pause_s)

    def _on_signal(self, signal: Signal) -> None:
        self.stream.notice = _notice(signal)
        self.stream.signal = signal


def _notice(signal: Signal) -> str | None:
    """Say it on the picture."""
    match signal.state:
        case SignalState.CONNECTING:
            return "Connecting to the camera"
        case SignalState.LOST:
            return f"No signal since {_clock(signal.since)}"
        case SignalState.ENDED:
            return f"Over since {_clock(signal.since)}"
    return None


def _clock(instant: float) -> str:
    """Tell the time of the server's place, with the date when it is not today's."""
    then, now = time.localtime(instant), time.localtime()
    today = then[:3] == now[:3]
    return time.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M", then)


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
