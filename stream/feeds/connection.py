"""Whether anybody wants pictures.

A source that is kept coming in for as long as it is wanted, whatever becomes of it.
"""

import asyncio
import logging
import time
import traceback
from collections.abc import Callable

from stream.captioned_stream import Signal, SignalState
from stream.feeds.reception import Reception
from stream.feeds.settings import FeedSettings
from stream.rate_limit import Pauses
from stream.sources import Intake, PacedSource, Source, SourceError, open_source
from stream.video import Frame, blank, planes

GRACE_S = 10.0
"""How long after the last watcher has gone pictures are still wanted: a page that is loaded anew
finds them coming."""

ANSWER_S = 15.0
"""How long a source may take to its first picture before its signal counts as lost. It is waited
for on: there is never a second connection to it."""

SLACK_S = 2.0
"""How much longer than a source itself would tell a silent one is borne with."""

SETTLED_S = 2.0
"""A source that lived for so long is tried again without delay when it is lost."""

AGAIN_S = 1.0
"""How often the last picture is shown again while none come."""

_TICK_S = 0.5
_DARK_SIZE = 640, 360

_BLACK, _GREY = 16, 128

logger = logging.getLogger(__name__)


class Demand:
    """Told who watches, tells whether to go on; on the event loop."""

    def __init__(self, *, always: bool, grace_s: float = GRACE_S) -> None:
        """Begin with nobody.

        Args:
            always: Whether pictures are wanted even when nobody watches.
            grace_s: How long one who has gone still counts, in seconds.
        """
        self._always, self._grace_s = always, grace_s
        self._wanted, self._unwanted = asyncio.Event(), asyncio.Event()
        self.tell(watched=False)

    def tell(self, *, watched: bool) -> None:
        """Say whether someone watches now."""
        if watched or self._always:
            self._wanted.set()
            self._unwanted.clear()
        else:
            self._wanted.clear()
            self._unwanted.set()

    @property
    def is_wanted(self) -> bool:
        """Whether pictures are wanted, the time of grace not counted."""
        return self._wanted.is_set()

    async def wanted(self) -> None:
        """Wait until someone watches."""
        await self._wanted.wait()

    async def unwanted(self) -> None:
        """Wait until nobody has watched for the time of grace."""
        while True:
            await self._unwanted.wait()
            try:
                await asyncio.wait_for(self._wanted.wait(), self._grace_s)
            except TimeoutError:
                return


class Camera:
    """Connects to a feed's source, and again when it fails, and tells how it goes."""

    signal: Signal
    """Whether pictures come now."""
    attempts: int
    """How often it was tried to open the source."""

    def __init__(
        self,
        name: str,
        settings: FeedSettings,
        intake: Intake,
        demand: Demand,
        tell: Callable[[Signal], None],
        pauses: Pauses | None = None,
    ) -> None:
        """Prepare; nothing is opened before `run`.

        Args:
            name: Of the feed, for logs.
            settings: What to open, and how.
            intake: Where the pictures go.
            demand: Whether they are wanted.
            tell: Is called with each new signal.
            pauses: Between one attempt and the next.
        """
        self._name, self._settings, self._intake = name, settings, intake
        self._demand, self._tell, self._pauses = demand, tell, pauses or Pauses()
        self.signal = Signal(SignalState.IDLE)
        self.attempts = self._replaced = 0
        self._reception: Reception | None = None
        self._last: Frame | None = None
        self._recorded = False
        self._began = 0.0

    @property
    def replaced(self) -> int:
        """Pictures that the server had no time to take, and lost to newer ones."""
        return self._replaced + (self._reception.replaced if self._reception else 0)

    async def run(self) -> None:
        """Keep the source coming in until cancelled; what is open then is closed."""
        showing = asyncio.create_task(self._show_last())
        try:
            while True:
                if not self._demand.is_wanted:
                    self._say(Signal(SignalState.IDLE))
                await self._demand.wanted()
                self._say(Signal(SignalState.CONNECTING))
                await self._until_unwanted()
        except Exception:
            self._lose("something went wrong on the server")
            raise
        finally:
            await _cancel(showing)

    async def _until_unwanted(self) -> None:
        keeping = asyncio.create_task(self._keep())
        unwanted = asyncio.create_task(self._demand.unwanted())
        try:
            await asyncio.wait({keeping, unwanted}, return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                keeping.result()
        finally:
            await _cancel(unwanted, keeping)

    async def _keep(self) -> None:
        while True:
            reception = await self._next_reception()
            try:
                reason = await self._end_of(reception)
                played = self._recorded and not reason and self.signal.state is SignalState.LIVE
                if not played:
                    self._lose(reason or "the source has ended")
            finally:
                await reception.close()
            if played and not self._settings.repeat:
                self._say(Signal(SignalState.ENDED, message="the recording is over"))
                await asyncio.get_running_loop().create_future()
            if not played:
                await asyncio.sleep(self._pauses.next_s())

    async def _next_reception(self) -> Reception:
        """Begin to open the source, once a connection that was hanging is over."""
        if self._reception:
            await asyncio.wait({self._reception.over})
            self._replaced += self._reception.replaced
        self.attempts += 1
        self._reception = Reception(self._open, self._take, f"feed {self._name}")
        return self._reception

    async def _end_of(self, reception: Reception) -> str:
        """Wait until no more pictures come; tell why, or nothing if that is how it should be."""
        self._began = time.monotonic()
        while not reception.over.done():
            await asyncio.wait({reception.over}, timeout=_TICK_S)
            if not reception.over.done() and (reason := self._silence()):
                return reason
        try:
            reception.over.result()
        except SourceError as problem:
            return str(problem)
        except Exception as problem:
            # Not with its message, which may repeat the address and the password in it.
            where = "".join(traceback.format_tb(problem.__traceback__))
            logger.error("feed %s failed: %s\n%s", self._name, type(problem).__name__, where)
            return "something went wrong while it was read"
        return ""

    def _silence(self) -> str:
        """Say that nothing comes from a source that should have said so itself."""
        now = time.monotonic()
        if self._intake.newest_at >= self._began:
            bound_s = self._settings.silence_s + SLACK_S
            silent_s = now - self._intake.newest_at
            return f"no picture has come for {silent_s:.0f} s" if silent_s > bound_s else ""
        silent_s = now - self._began
        return f"it has not answered for {silent_s:.0f} s" if silent_s > ANSWER_S else ""

    def _open(self) -> Source:
        """Open the source; in the thread of its reception."""
        spec = self._settings.read_source()
        try:
            source = open_source(spec, silence_s=self._settings.silence_s)
        except SourceError as problem:
            # An address whose scheme was forgotten is taken for a file, and then told in full.
            message = str(problem)
            told = message.replace(spec, "the source") if "@" in spec else message
            raise SourceError(told) from None
        self._recorded = not source.live
        return PacedSource(source) if self._recorded else source

    def _take(self, frame: Frame) -> None:
        self._last = frame
        self._intake.put(frame)
        if self.signal.state is not SignalState.LIVE:
            self._say(Signal(SignalState.LIVE))

    def _lose(self, reason: str) -> None:
        since = time.time()
        if self.signal.state is SignalState.LOST:
            since = self.signal.since
        elif self.signal.state is SignalState.LIVE:
            lived_s = since - self.signal.since
            since -= time.monotonic() - self._intake.newest_at
            if lived_s > SETTLED_S:
                self._pauses.reset()
        self._say(Signal(SignalState.LOST, since, reason))

    def _say(self, signal: Signal) -> None:
        if (signal.state, signal.message) != (self.signal.state, self.signal.message):
            why = f": {signal.message}" if signal.message else ""
            logger.info("feed %s is %s%s", self._name, signal.state.value, why)
        self.signal = signal
        self._tell(signal)

    async def _show_last(self) -> None:
        """While no pictures come, show the last one again, so that watchers see that none do."""
        while True:
            await asyncio.sleep(AGAIN_S)
            if self.signal.state not in (SignalState.LIVE, SignalState.IDLE):
                self._last = self._last or _dark()
                self._intake.to_return.put(self._last)


def _dark() -> Frame:
    image = blank(*_DARK_SIZE)
    for plane, value in zip(planes(image), (_BLACK, _GREY, _GREY), strict=True):
        plane[:] = value
    return Frame(image, time.time())


async def _cancel(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
