"""A feed: a camera of the configuration, captioned whether or not anyone looks."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from stream.captioned_stream import CaptionedStream
from stream.feeds.camera import Camera
from stream.feeds.demand import Demand
from stream.feeds.pauses import Pauses
from stream.feeds.settings import FeedSettings
from stream.log_context import log_as
from stream.publications import NameTaken, Publications
from stream.signal import Signal, SignalState
from stream.surroundings import Surroundings

_NAME_TAKEN_S = 10.0

logger = logging.getLogger(__name__)


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
