"""A media process as the front sees it: started, watched, and ended by force if it hangs."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from stream.ice import IceSettings
from stream.media.channel import Channel, ChannelClosed, Handler, Listener, pickled
from stream.settings import StreamSettings

REPORT_INTERVAL_S = 1.0
"""Between two reports of a process."""

_START_S = 60.0
_SILENT_REPORTS = 10
"""A process that sends nothing while so many reports are due has hung."""
_STOP_S = 3.0
"""Its sessions and feeds have ended before it is asked to exit."""

_EXIT_S = 1.0

_PROGRAM = ("-m", "stream.media.worker")


@dataclass(frozen=True, slots=True)
class AdjustableSettings:
    """What can change while a media process runs."""

    log_level: int
    viewers_may_cause_requests: bool
    """Whether viewers may cause any request to an endpoint."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a media process is started with."""

    stream: StreamSettings
    host: str
    ice: IceSettings
    captions: Path
    """Unix socket of the front's caption service, in a folder of its own."""
    adjustable: AdjustableSettings


class StartFailed(RuntimeError):
    """A process is not ready, and never will be; the message gives the reason, for people."""


class MediaProcess:
    """A running media process; it always has to be ended by `end`."""

    def __init__(self, process: asyncio.subprocess.Process, channel: Channel) -> None:
        """Wrap a process that was just started."""
        self._process, self.channel = process, channel
        self._serving = asyncio.create_task(channel.serve(), name="media process")
        self._hung = False

    @classmethod
    async def start(
        cls,
        settings: WorkerSettings,
        answer: Handler,
        on_notice: Listener,
    ) -> "MediaProcess":
        """Start a process, and wait until it is ready.

        Args:
            settings: What it is started with.
            answer: Answers its requests.
            on_notice: Receives its notices.

        Raises:
            StartFailed: If it cannot be started, or ends before it is ready.
        """
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *_PROGRAM,
                str(theirs.fileno()),
                cwd=Path(__file__).parents[2],
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                # Standard output belongs to the server; a traceback is for its log.
                stdout=2,
                # Ctrl-C in the terminal is for the server to handle.
                start_new_session=True,
            )
        except BaseException as problem:
            ours.close()
            if isinstance(problem, OSError):
                raise StartFailed(f"it cannot be started: {problem.strerror}") from problem
            raise
        finally:
            theirs.close()
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        started = cls(process, Channel(reader, writer, answer, on_notice))
        try:
            await asyncio.wait_for(started.channel.request("start", pickled(settings)), _START_S)
        except BaseException as problem:
            await asyncio.shield(started.end())
            if isinstance(problem, TimeoutError):
                raise StartFailed("it took too long to start") from problem
            if isinstance(problem, ChannelClosed):
                raise StartFailed(f"it stopped while it started: {started.reason}") from problem
            raise
        return started

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def reason(self) -> str:
        """Why it has ended, for people."""
        status = self._process.returncode
        if self._hung:
            return "it hung and was ended"
        if status is None or status >= 0:
            return f"it exited with status {status}"
        with contextlib.suppress(ValueError):
            return f"it was ended by {signal.Signals(-status).name}"
        return f"it was ended by signal {-status}"

    async def wait_end(self) -> None:
        """Wait until it has ended; a process that is silent for too long is killed."""
        silent, received = 0, 0
        while not self._serving.done():
            # Counted, not measured: if this process stood still, reports are waiting to be read.
            await asyncio.wait({self._serving}, timeout=REPORT_INTERVAL_S)
            silent = 0 if self.channel.received > received else silent + 1
            received = self.channel.received
            if silent > _SILENT_REPORTS:
                self._hung = True
                self._kill()
        await self.end()

    async def stop(self) -> None:
        """Ask it to end its sessions and feeds, and to exit; end it by force if it does not."""
        with contextlib.suppress(ChannelClosed, TimeoutError):
            await asyncio.wait_for(self.channel.request("stop"), _STOP_S)
        await self.end()

    async def end(self) -> None:
        """End it, by force if it does not exit."""
        await self.channel.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _EXIT_S)
        if self._process.returncode is None:
            self._kill()
            await self._process.wait()
        await asyncio.gather(self._serving, return_exceptions=True)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
