"""A media process: runs sessions and feeds for the front, which started it.

python -m stream.media.worker DESCRIPTOR

The descriptor is a socket that is connected to the front. The process ends with the connection.
"""

import asyncio
import contextlib
import os
import select
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

from inference.pool import PoolCaptioner
from stream.context import StreamContext, bind_log_context
from stream.feeds import Feeds
from stream.media.channel import NOTHING, Answer, Channel, unpickled
from stream.media.figures import MediaReport
from stream.media.log import RecordSender
from stream.media.process import REPORT_INTERVAL_S, AdjustableSettings, WorkerSettings
from stream.media.reporter import StreamReporter
from stream.media.usage import FrontLimits
from stream.process_memory import freeze_loaded_objects, trim_periodically
from stream.publishing import Publications
from stream.webrtc import Sessions

_CAPTIONER_S = 2.0
"""How long to wait for the front's answer about the captioner before sessions are accepted."""
_LONGEST_STOP_S = 12.0
"""A process that has lost its front, and has not ended by itself for so long, is ended."""


class MediaWorker:
    """The sessions and feeds of a media process, as the front directs them."""

    def __init__(self, settings: WorkerSettings, channel: Channel, log: RecordSender) -> None:
        """Prepare to run; `running` runs it."""
        self._settings, self._channel, self._log = settings, channel, log
        self._limits = FrontLimits(channel)
        # The front limits how long a frame waits, as it does for its own streams.
        self._captions = PoolCaptioner([f"unix:{settings.captions}"], max_wait_s=None)
        self._context = StreamContext.create(
            settings.stream, self._captions, settings.host, settings.ice, self._limits
        )
        self._publications = Publications()
        self._reporter = StreamReporter(self._publications, channel)
        self._sessions = Sessions(
            self._context,
            self._publications,
            lambda session: channel.notify("ended", session=session),
        )
        self._feeds = Feeds(self._context, self._publications)
        self._configure(settings.adjustable)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run until the context ends; then end all sessions and feeds."""
        self._captions.start()
        works = (self._context.load.run(), self._report(), trim_periodically())
        tasks = [asyncio.create_task(work, name="media process") for work in works]
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._captions.wait_loaded(), _CAPTIONER_S)
            yield
        finally:
            await self._sessions.close()
            await self._feeds.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._reporter.close()
            await self._context.close()
            await self._captions.stop()

    async def answer(self, name: str, values: dict[str, Any], payload: bytes) -> Answer:
        """Answer a request of the front; raises the exceptions that a channel can send."""
        match name:
            case "accept":
                offer, owner, may_analyse, log_context = unpickled(payload)
                bind_log_context(**log_context)
                _, answer = await self._sessions.accept(
                    offer, owner=owner, may_analyse=may_analyse, session_id=values["session"]
                )
                return Answer({"sdp": answer.sdp, "type": answer.type}, b"")
            case "candidates":
                (fragment,) = unpickled(payload)
                await self._sessions.find(values["session"]).add_candidates(fragment)
            case "end":
                await self._sessions.end(values["session"], values["reason"])
            case "end_all":
                await self._sessions.close()
            case "frame":
                return Answer({}, await self._sessions.frame_jpeg(values["session"], values["seq"]))
            case "picture":
                return Answer({}, await self._publications.find(values["stream"]).picture())
            case "small_picture":
                stream = self._publications.find(values["stream"])
                return Answer({}, await stream.small_picture(values["seq"]))
            case "feeds":
                (feeds,) = unpickled(payload)
                await self._feeds.reload(feeds)
            case "analysis":
                return Answer(await self._context.analyses.describe(values["token"]), b"")
            case "discard_analysis":
                await self._context.analyses.discard(values["token"])
            case "analysis_file":
                analyses = self._context.analyses
                return Answer({}, await analyses.read_file(values["token"], values["file"]))
            case "report":
                return Answer(MediaReport.of(self._context).to_json(), b"")
            case _:
                raise ValueError(f"there is no request {name}")
        return NOTHING

    def on_notice(self, name: str, values: dict[str, Any]) -> None:
        """Handle a notice of the front."""
        match name:
            case "watch":
                self._reporter.watch(values["stream"], values["viewers"])
            case "configure":
                self._configure(AdjustableSettings(**values))

    def _configure(self, settings: AdjustableSettings) -> None:
        self._log.install(settings.log_level)
        self._limits.viewers_may_cause_requests = settings.viewers_may_cause_requests

    async def _report(self) -> None:
        """Send a report every second, which also shows that this process has not hung."""
        while True:
            await asyncio.sleep(REPORT_INTERVAL_S)
            self._reporter.update()
            report = MediaReport.of(self._context)
            self._channel.notify("report", spare=True, report=report.to_json())


class _Connection:
    """The connection to the front, from its first message to its end."""

    def __init__(self) -> None:
        self._started: asyncio.Future[WorkerSettings] = asyncio.Future()
        self._ready = asyncio.Event()
        self._stop = asyncio.Event()
        self._ended = asyncio.Event()
        self._worker: MediaWorker | None = None

    async def run(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        channel = Channel(reader, writer, self._answer, self._on_notice)
        serving = asyncio.create_task(channel.serve(), name="front")
        serving.add_done_callback(lambda _: self._on_closed())
        try:
            settings = await self._started
            self._worker = MediaWorker(settings, channel, RecordSender(channel))
            async with self._worker.running():
                freeze_loaded_objects()
                self._ready.set()
                await self._stop.wait()
            self._ended.set()
            if serving.done():
                # The front was killed, and could not remove the socket itself.
                shutil.rmtree(settings.captions.parent, ignore_errors=True)
            await serving
        except asyncio.CancelledError:
            # The front went before it sent the settings.
            if not serving.done():
                raise

    async def _answer(self, name: str, values: dict[str, Any], payload: bytes) -> Answer:
        if name == "start":
            (settings,) = unpickled(payload)
            self._started.set_result(settings)
            await self._ready.wait()
            return NOTHING
        if name == "stop":
            self._stop.set()
            await self._ended.wait()
            return NOTHING
        await self._ready.wait()
        assert self._worker
        return await self._worker.answer(name, values, payload)

    def _on_notice(self, name: str, values: dict[str, Any], _: bytes) -> None:
        if self._worker:
            self._worker.on_notice(name, values)

    def _on_closed(self) -> None:
        self._stop.set()
        self._started.cancel()


async def _run(connection: socket.socket) -> None:
    await _Connection().run(connection)


def _exit_without_front(connection: socket.socket) -> None:
    """End the process some time after the front is gone, even if the event loop has hung."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP if sys.platform == "linux" else select.POLLHUP)
    poll.poll()
    time.sleep(_LONGEST_STOP_S)
    os._exit(1)


def main() -> None:
    """Run until the front closes the connection, which handles the signals."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    connection = socket.socket(fileno=int(sys.argv[1]))
    watched = connection.dup()
    threading.Thread(target=_exit_without_front, args=(watched,), daemon=True).start()
    asyncio.run(_run(connection))


if __name__ == "__main__":
    main()
