"""The front of media processes: starts them, places sessions and feeds, and restarts them."""

import asyncio
import contextlib
import logging
import time
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from stream.context import StreamContext
from stream.load import LoadLevel
from stream.media.channel import ChannelClosed
from stream.media.figures import MediaReport, MediaTotals, ProcessFigures
from stream.media.log import handle_record
from stream.media.process import AdjustableSettings, MediaProcess, StartFailed, WorkerSettings
from stream.media.remote_analyses import RemoteAnalyses
from stream.media.remote_feeds import RemoteFeeds
from stream.media.remote_sessions import RemoteSessions
from stream.media.remote_streams import RemoteStreams
from stream.media.slot import Slot
from stream.media.usage import CountedUses
from stream.publishing import Publications
from stream.restart import Backoff
from stream.webrtc import ServerFull

_READY_S = 10.0
"""How long a session waits for a process that is being started."""

_FIRST_DELAY_S, _MAX_DELAY_S = 0.5, 30.0
_STABLE_S = 30.0
"""A process that ran for so long is replaced at once when it ends; others after a pause."""

_REFRESH_S = 1.0

logger = logging.getLogger(__name__)


class MediaProcesses:
    """Sessions, feeds and analyses in media processes under this one.

    There is one process more than have work, up to the limit: an idle server has a single one.
    """

    def __init__(self, context: StreamContext, publications: Publications, count: int) -> None:
        """Prepare; `start` starts the first process.

        Args:
            context: Context of this process: its limits hold over all media processes, and its load
                is that of the front.
            publications: Receives the published streams of all processes.
            count: Largest number of processes.
        """
        self._context = context
        self._slots = [Slot(number) for number in range(1, count + 1)]
        self._streams = RemoteStreams(publications)
        self.sessions = RemoteSessions(context.settings, self._streams, self)
        self.feeds = RemoteFeeds(self._streams, self)
        self.analyses = RemoteAnalyses(self)
        self._settings: WorkerSettings | None = None
        self._supervisors: dict[Slot, asyncio.Task[None]] = {}
        self._changed = asyncio.Condition()

    def start(self, settings: WorkerSettings) -> None:
        """Start the first process, and others with the work.

        Args:
            settings: What each is started with.
        """
        self._settings = settings
        self.on_placed()

    async def close(self) -> None:
        """End all processes."""
        supervisors = list(self._supervisors.values())
        for task in supervisors:
            task.cancel()
        await asyncio.gather(*supervisors, return_exceptions=True)

    def configure(self, adjustable: AdjustableSettings) -> None:
        """Change the settings that processes can change while they run."""
        assert self._settings
        self._settings = replace(self._settings, adjustable=adjustable)
        for slot in self.running:
            slot.notify("configure", **asdict(adjustable))

    @property
    def running(self) -> list[Slot]:
        """The slots whose process runs."""
        return [slot for slot in self._slots if slot.process]

    @property
    def processes(self) -> tuple[ProcessFigures, ...]:
        """Figures of each process that was ever started."""
        return tuple(slot.figures for slot in self._slots if slot.starts)

    @property
    def report(self) -> MediaReport:
        """The sum of all figures, and the highest load level, this process included."""
        own = MediaReport.of(self._context)
        reports = [own, *(slot.report for slot in self._slots)]
        highest = max(reports, key=lambda each: (each.level, each.pressure.lateness))
        return MediaReport(
            totals=sum((slot.totals for slot in self._slots), MediaTotals()),
            live_streams=sum(report.live_streams for report in reports),
            analyses=sum(report.analyses for report in reports),
            level=highest.level,
            pressure=highest.pressure,
            cpu_s=sum(slot.figures.cpu_s for slot in self._slots) + own.cpu_s,
            resident_bytes=sum(report.resident_bytes for report in reports),
        )

    @property
    def accepting_level(self) -> LoadLevel:
        """The lowest load level of the processes, or that of this process if it is higher."""
        lowest = min((slot.level for slot in self.running), default=LoadLevel.NORMAL)
        return max(lowest, self._context.load.level)

    async def refresh(self) -> None:
        """Bring the figures up to date; those of a process that does not answer stay."""

        async def read(slot: Slot) -> None:
            with contextlib.suppress(ChannelClosed, TimeoutError):
                answer = await asyncio.wait_for(slot.request("report"), _REFRESH_S)
                slot.report = MediaReport.from_json(answer.values)

        await asyncio.gather(*map(read, self.running))

    def on_placed(self) -> None:
        """Start another process if all that were started have work."""
        idle = [slot for slot in self._supervisors if not slot.weight]
        unstarted = [slot for slot in self._slots if slot not in self._supervisors]
        if not idle and unstarted:
            self._start(unstarted[0])

    async def slot_for_session(self) -> Slot:
        """Return the place of a session with its own source: that with the least load.

        A process in whose place another one ended lately comes last.

        Raises:
            ServerFull: If all processes are overloaded, or none is ready in time.
        """
        level = self._context.load.level
        if level >= LoadLevel.NO_NEW_SESSIONS:
            raise ServerFull(level.message)
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(lambda: self.running), _READY_S)
            except TimeoutError:
                message = "the processes that run sessions are being started"
                raise ServerFull(message) from None
        accepting = [slot for slot in self.running if slot.level < LoadLevel.NO_NEW_SESSIONS]
        if not accepting:
            raise ServerFull(LoadLevel.NO_NEW_SESSIONS.message)
        return min(accepting, key=lambda slot: (slot.is_suspect, slot.level, slot.weight))

    def slot_for_feed(self) -> Slot:
        """Return the slot with the least work, whether its process is ready or not."""
        slot = min(self._slots, key=lambda each: each.weight)
        if slot not in self._supervisors:
            self._start(slot)
        return slot

    def _start(self, slot: Slot) -> None:
        self._supervisors[slot] = asyncio.create_task(
            self._supervise(slot), name=f"media process {slot.number}"
        )

    async def _supervise(self, slot: Slot) -> None:
        """Keep a process running at a slot until cancelled."""
        backoff = Backoff(_FIRST_DELAY_S, _MAX_DELAY_S)
        while True:
            begun = time.monotonic()
            slot.starts += 1
            reason = await self._run_process(slot)
            if time.monotonic() - begun >= _STABLE_S:
                backoff.reset()
                delay_s = 0.0
            else:
                delay_s = backoff.next_delay_s()
            logger.warning(
                "media process %d: %s; starting another in %.1f s", slot.number, reason, delay_s
            )
            await asyncio.sleep(delay_s)

    async def _run_process(self, slot: Slot) -> str:
        """Run a process until it ends; return the reason."""
        assert self._settings
        uses = CountedUses(self._context.limits)
        try:
            process = await MediaProcess.start(
                self._settings, uses.answer, partial(self._on_notice, slot, uses)
            )
        except StartFailed as problem:
            self.feeds.move(slot, self.running)
            return str(problem)
        slot.process = process
        try:
            self.feeds.on_ready(slot)
            async with self._changed:
                self._changed.notify_all()
            await process.wait_end()
        except asyncio.CancelledError:
            await process.stop()
            raise
        finally:
            await asyncio.shield(process.end())
            self._on_gone(slot)
            await uses.close()
        return process.reason

    def _on_gone(self, slot: Slot) -> None:
        slot.on_gone()
        self.sessions.remove_all(slot)
        self._streams.on_gone(slot, slot.feeds)

    def _on_notice(
        self, slot: Slot, uses: CountedUses, name: str, values: dict[str, Any], _: bytes
    ) -> None:
        match name:
            case "caption":
                self._streams.on_caption(slot, values["event"])
            case "published":
                self._streams.on_published(slot, values["stream"], values["report"])
            case "unpublished":
                self._streams.on_unpublished(slot, values["stream"])
            case "ended":
                self.sessions.remove(values["session"])
            case "report":
                slot.report = MediaReport.from_json(values["report"])
            case "release":
                uses.release(values["number"])
            case "log":
                handle_record(values["record"])
