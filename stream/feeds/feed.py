"""Feeds: captioned streams of the sources in the configuration."""

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stream.captioned_stream import CaptionedStream, Signal, SignalState
from stream.context import StreamContext, bind_log_context
from stream.feeds.connection import Demand, SourceConnection
from stream.feeds.settings import FeedSettings
from stream.publishing import NameTaken, Publications
from stream.restart import restart_on_failure

_STOP_S = 8.0
"""How long to wait for feeds to stop."""

_NAME_RETRY_S = 10.0

logger = logging.getLogger(__name__)


class Feed:
    """One feed, published under its name. `run` it; cancelling that ends it."""

    def __init__(
        self, name: str, settings: FeedSettings, context: StreamContext, publications: Publications
    ) -> None:
        """Prepare a feed; nothing is opened before `run`."""
        self.name, self.settings = name, settings
        self._publications = publications
        self.stream = CaptionedStream(
            name, context, title=settings.title, interval_s=settings.interval_s, kind="feed"
        )
        self.stream.maps.explanations = settings.explanations
        self._demand = Demand(always=settings.run == "always")
        self._connection = SourceConnection(
            name,
            settings,
            self.stream.ingest,
            self._demand,
            self._on_signal,
            max_pixels=context.settings.frame_pixels,
        )

    async def run(self) -> None:
        """Caption the source until cancelled, then free all resources."""
        bind_log_context(feed=self.name)
        name = f"feed {self.name}"
        unsubscribe = self.stream.viewer_counts.subscribe(
            lambda viewers: self._demand.update(watched=viewers > 0)
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                for work in (self._publish, self._connection.run, self.stream.run):
                    tasks.create_task(restart_on_failure(name, work), name=name)
        finally:
            unsubscribe()
            self._publications.remove(self.stream)
            await self.stream.close()

    async def _publish(self) -> None:
        while True:
            try:
                self._publications.add(self.stream)
            except NameTaken:
                logger.warning("feed %s is not published: a session uses its name", self.name)
                await asyncio.sleep(_NAME_RETRY_S)
            else:
                return

    def _on_signal(self, signal: Signal) -> None:
        self.stream.notice = _notice(signal)
        self.stream.signal = signal


class _RunningFeed(NamedTuple):
    feed: Feed
    task: "asyncio.Task[None]"


class Feeds:
    """Runs the feeds of the configuration, and no others: a client can never name a source."""

    def __init__(self, context: StreamContext, publications: Publications) -> None:
        """Start without feeds; each running feed is published."""
        self._context, self._publications = context, publications
        self._running: dict[str, _RunningFeed] = {}
        self._reloading = asyncio.Lock()

    def __iter__(self) -> Iterator[Feed]:
        return iter([running.feed for running in self._running.values()])

    def __len__(self) -> int:
        return len(self._running)

    async def reload(self, settings: Mapping[str, FeedSettings]) -> None:
        """Run exactly these feeds: start new ones, stop removed ones, and restart changed ones.

        A feed whose settings are unchanged continues, and so do its viewers.
        """
        async with self._reloading:
            ending = [
                name
                for name, running in self._running.items()
                if settings.get(name) != running.feed.settings
            ]
            tasks = [self._running.pop(name).task for name in ending]
            for task in tasks:
                task.cancel()
            # Before the others have stopped, which takes a while if a source hangs.
            self._start({name: each for name, each in settings.items() if name not in ending})
            if tasks:
                await asyncio.wait(tasks, timeout=_STOP_S)
            self._start(settings)

    async def close(self) -> None:
        """Stop all feeds; returns within a bounded time, even if a source hangs."""
        await self.reload({})

    def _start(self, settings: Mapping[str, FeedSettings]) -> None:
        for name, feed_settings in settings.items():
            if name not in self._running:
                feed = Feed(name, feed_settings, self._context, self._publications)
                task = asyncio.create_task(feed.run(), name=f"feed {name}")
                self._running[name] = _RunningFeed(feed, task)


def _notice(signal: Signal) -> str | None:
    """Return the notice to draw on the video."""
    match signal.state:
        case SignalState.CONNECTING:
            return "Connecting to the camera"
        case SignalState.LOST:
            return f"No signal since {_format_time(signal.since)}"
        case SignalState.ENDED:
            return f"Ended at {_format_time(signal.since)}"
    return None


def _format_time(instant: float) -> str:
    """Format a time in the server's time zone, with the date unless it is today."""
    then, now = time.localtime(instant), time.localtime()
    is_today = then[:3] == now[:3]
    return time.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M", then)
