"""A feed's connection to its source: opened on demand, and reopened with backoff when it fails."""

import asyncio
import logging
import time
import traceback
from collections.abc import Callable

from stream.captioned_stream import Signal, SignalState
from stream.feeds.settings import FeedSettings
from stream.feeds.source_reader import SourceReader
from stream.restart import Backoff
from stream.settings import MAX_FRAME_PIXELS
from stream.sources import Ingest, RealTimeSource, Source, SourceError, open_source
from stream.video import Frame, blank_frame, yuv_planes

GRACE_S = 10.0
"""How long a feed stays connected after its last viewer has left, so that reloading the page does
not interrupt it."""

FIRST_FRAME_S = 15.0
"""How long a source may take to its first frame before its signal counts as lost. The attempt
continues: there is never a second connection to the source. A slow camera has longer: FFmpeg needs
two frames to detect some formats."""

_FIRST_FRAME_INTERVALS = 3

STABLE_S = 2.0
"""A connection that lasted at least this long resets the backoff when it is lost."""

_READ_TIMEOUT_MARGIN_S = 2.0
"""How long a source may exceed its own read timeout before its signal counts as lost."""

_REPEAT_S = 1.0
"""Interval of repeating the last frame while there is no signal."""

_TICK_S = 0.5
_BLACK_SIZE = 640, 360
_BLACK_YUV = 16, 128, 128
"""Black in ITU-R BT.601 video range."""

logger = logging.getLogger(__name__)


class Demand:
    """Whether a feed has to run: always, or only while it is watched. For the event loop."""

    def __init__(self, *, always: bool, grace_s: float = GRACE_S) -> None:
        """Start without viewers.

        Args:
            always: Whether the feed runs even without viewers.
            grace_s: How long demand continues after the last viewer has left, in seconds.
        """
        self._always, self._grace_s = always, grace_s
        self._active, self._inactive = asyncio.Event(), asyncio.Event()
        self.update(watched=False)

    @property
    def is_active(self) -> bool:
        """Whether there is demand now, not counting the grace period."""
        return self._active.is_set()

    def update(self, *, watched: bool) -> None:
        """Set whether there are viewers."""
        if watched or self._always:
            self._active.set()
            self._inactive.clear()
        else:
            self._active.clear()
            self._inactive.set()

    async def wait_active(self) -> None:
        """Wait until there is demand."""
        await self._active.wait()

    async def wait_inactive(self) -> None:
        """Wait until there was no demand for the whole grace period."""
        while True:
            await self._inactive.wait()
            try:
                await asyncio.wait_for(self._active.wait(), self._grace_s)
            except TimeoutError:
                return


class SourceConnection:
    """Keeps a feed's source connected while there is demand, and reports the signal."""

    signal: Signal
    """Whether frames arrive."""
    attempts: int
    """Number of attempts to open the source."""

    def __init__(
        self,
        name: str,
        settings: FeedSettings,
        ingest: Ingest,
        demand: Demand,
        on_signal: Callable[[Signal], None],
        backoff: Backoff | None = None,
        *,
        max_pixels: int = MAX_FRAME_PIXELS,
    ) -> None:
        """Prepare a connection; nothing is opened before `run`.

        Args:
            name: Name of the feed, for logs.
            settings: Source of the feed, and how to read it.
            ingest: Receives the frames.
            demand: Whether the feed has to run.
            on_signal: Called with each new signal.
            backoff: Delays between attempts to connect.
            max_pixels: Maximum width times height of a frame.
        """
        self._name, self._settings, self._ingest = name, settings, ingest
        self._demand, self._on_signal, self._backoff = demand, on_signal, backoff or Backoff()
        self._max_pixels = max_pixels
        self.signal = Signal(SignalState.IDLE)
        self.attempts = self._replaced = 0
        self._reader: SourceReader | None = None
        self._last_frame: Frame | None = None
        self._recorded = False
        self._started = 0.0
        self._signal_at = time.monotonic()

    @property
    def replaced(self) -> int:
        """Number of frames that were dropped because the server was too slow to take them."""
        return self._replaced + (self._reader.replaced if self._reader else 0)

    async def run(self) -> None:
        """Keep the source connected until cancelled, then close it."""
        repeating = asyncio.create_task(self._repeat_last_frame())
        try:
            while True:
                if not self._demand.is_active:
                    self._set_signal(Signal(SignalState.IDLE))
                await self._demand.wait_active()
                self._set_signal(Signal(SignalState.CONNECTING))
                await self._run_while_demanded()
        except Exception:
            self._lose_signal("internal error; see the server's log")
            raise
        finally:
            await _cancel(repeating)

    async def _run_while_demanded(self) -> None:
        connecting = asyncio.create_task(self._keep_connected())
        inactive = asyncio.create_task(self._demand.wait_inactive())
        try:
            await asyncio.wait({connecting, inactive}, return_when=asyncio.FIRST_COMPLETED)
            if connecting.done():
                connecting.result()
        finally:
            await _cancel(inactive, connecting)

    async def _keep_connected(self) -> None:
        while True:
            reader = await self._next_reader()
            try:
                error = await self._wait_for_end(reader)
                played = self._recorded and not error and self.signal.state is SignalState.LIVE
                if not played:
                    self._lose_signal(error or "the source ended")
            finally:
                await reader.close()
            if played and not self._settings.repeat:
                self._set_signal(Signal(SignalState.ENDED, message="the recording has ended"))
                await asyncio.get_running_loop().create_future()
            if not played:
                await asyncio.sleep(self._backoff.next_delay_s())

    async def _next_reader(self) -> SourceReader:
        """Start to open the source, once a previous connection that was stuck has ended."""
        if self._reader:
            await asyncio.wait({self._reader.done})
            self._replaced += self._reader.replaced
        self.attempts += 1
        self._reader = SourceReader(self._open, self._take, f"feed {self._name}")
        return self._reader

    async def _wait_for_end(self, reader: SourceReader) -> str:
        """Wait until no more frames arrive; return why, or an empty string if the source ended."""
        self._started = time.monotonic()
        while not reader.done.done():
            await asyncio.wait({reader.done}, timeout=_TICK_S)
            if not reader.done.done() and (error := self._timeout_error()):
                return error
        try:
            reader.done.result()
        except SourceError as problem:
            return str(problem)
        except Exception as problem:
            # Without its message, which may repeat the URL and the password in it.
            trace = "".join(traceback.format_tb(problem.__traceback__))
            logger.error("feed %s failed: %s\n%s", self._name, type(problem).__name__, trace)
            return "reading the source failed; see the server's log"
        return ""

    def _timeout_error(self) -> str:
        """Describe a silence that the source itself should have reported; empty for none."""
        now = time.monotonic()
        if self._ingest.last_frame_at >= self._started:
            limit_s = self._settings.silence_s + _READ_TIMEOUT_MARGIN_S
            silent_s = now - self._ingest.last_frame_at
            return f"no video for {silent_s:.0f} s" if silent_s > limit_s else ""
        silent_s = now - self._started
        limit_s = max(FIRST_FRAME_S, _FIRST_FRAME_INTERVALS * self._settings.silence_s)
        return f"no response for {silent_s:.0f} s" if silent_s > limit_s else ""

    def _open(self) -> Source:
        """Open the source; runs in the reader's thread."""
        source = open_source(
            self._settings.read_source(),
            read_timeout_s=self._settings.silence_s,
            max_pixels=self._max_pixels,
        )
        self._recorded = not source.live
        return RealTimeSource(source) if self._recorded else source

    def _take(self, frame: Frame) -> None:
        self._last_frame = frame
        self._ingest.put(frame)
        if self.signal.state is not SignalState.LIVE:
            self._set_signal(Signal(SignalState.LIVE))

    def _lose_signal(self, reason: str) -> None:
        since = time.time()
        if self.signal.state is SignalState.LOST:
            since = self.signal.since
        elif self.signal.state is SignalState.LIVE:
            since = self._last_frame.captured if self._last_frame else since
            if time.monotonic() - self._signal_at > STABLE_S:
                self._backoff.reset()
        self._set_signal(Signal(SignalState.LOST, since, reason))

    def _set_signal(self, signal: Signal) -> None:
        if (signal.state, signal.message) != (self.signal.state, self.signal.message):
            reason = f": {signal.message}" if signal.message else ""
            logger.info("feed %s is %s%s", self._name, signal.state.value, reason)
        self.signal, self._signal_at = signal, time.monotonic()
        self._on_signal(signal)

    async def _repeat_last_frame(self) -> None:
        """Show the last frame again while there is no signal, so that viewers see the notice."""
        while True:
            await asyncio.sleep(_REPEAT_S)
            if self.signal.state not in (SignalState.LIVE, SignalState.IDLE):
                self._last_frame = self._last_frame or _black_frame()
                self._ingest.put_in_video(self._last_frame)


def _black_frame() -> Frame:
    image = blank_frame(*_BLACK_SIZE)
    for plane, value in zip(yuv_planes(image), _BLACK_YUV, strict=True):
        plane[:] = value
    return Frame(image)


async def _cancel(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
