"""A worker process from start to end, and a standby: a loaded worker that can take over at once."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.engine.connection import WorkerConnection
from inference.engine.messages import read
from inference.engine.service import EngineInfo

logger = logging.getLogger(__name__)

_CAPTIONS_PER_ANSWER = 20
"""A worker is given the time of so many captions to answer, however slow the captioner is: before
a batch it may have to finish a slice of a job, such as a gradient at the pixels."""

_CRASHED = "which means that a library crashed; too little memory can be the cause"
_SIGNALS: dict[int, str] = {
    signal.SIGKILL: "most likely because the machine or its container ran out of memory; the "
    "shipped captioner needs about 1.1 GB, so free some memory or raise the limit",
    signal.SIGILL: "because this CPU lacks instructions that TensorFlow uses, such as AVX; use "
    "another machine, or install a build of TensorFlow for this CPU",
    signal.SIGABRT: _CRASHED,
    signal.SIGBUS: _CRASHED,
    signal.SIGSEGV: _CRASHED,
}
"""Likely reasons why a worker was ended by a signal, and what to do."""


@dataclass(frozen=True, slots=True)
class EngineTiming:
    """Time limits of a worker and pauses between restarts, in seconds."""

    answer_s: float = 20.0
    """A worker with requests to answer that is silent for longer is killed; one with a captioner
    that takes seconds for a caption gets more time."""
    load_s: float = 300.0
    """A worker that takes longer to load is killed."""
    first_pause_s: float = 0.5
    """Before the first restart; doubled with each start that fails."""
    longest_pause_s: float = 30.0
    stop_s: float = 1.0
    """A worker that takes longer to exit is killed."""


class LoadFailed(RuntimeError):
    """The worker will never be ready; the message gives the reason, for people."""


class WorkerProcess:
    """A process that loads a captioner and answers requests; it always has to be ended by `end`."""

    info: EngineInfo
    """Set once it is loaded."""
    connection: WorkerConnection
    """Set once it is loaded."""

    def __init__(self, process: asyncio.subprocess.Process, timing: EngineTiming) -> None:
        """Wrap a process that was just started."""
        self._process, self._timing = process, timing
        self._hung = False

    @classmethod
    async def start(cls, arguments: Sequence[str], timing: EngineTiming) -> "WorkerProcess":
        """Start `inference.engine.worker` with these arguments, without waiting for it to load.

        Raises:
            LoadFailed: If the system cannot start a process.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "inference.engine.worker",
                *arguments,
                cwd=Path(__file__).parents[2],
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                # Ctrl-C in the terminal is for the server to handle.
                start_new_session=True,
            )
        except OSError as problem:
            message = f"The captioner cannot be started: {problem.strerror}."
            raise LoadFailed(message) from problem
        return cls(process, timing)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not exited yet, as far as is known."""
        return self._process.returncode is None

    @property
    def loaded(self) -> bool:
        """Whether it has loaded; it may have exited since."""
        return hasattr(self, "info")

    async def load(self) -> None:
        """Wait until it is ready.

        Raises:
            LoadFailed: If it never will be.
        """
        assert self._process.stdout
        try:
            async with asyncio.timeout(self._timing.load_s):
                message, _ = await read(self._process.stdout)
        except TimeoutError:
            self._kill()
            raise LoadFailed("The captioner took too long to load.") from None
        except (EOFError, OSError):
            reason = await self.describe_exit()
            raise LoadFailed(f"The captioner stopped while it was loading: {reason}.") from None
        if message.pop("type") == "failed":
            raise LoadFailed(f"The captioner cannot be loaded: {message['message']}.")
        self.info = EngineInfo.from_json(message)
        limit_s = max(self._timing.answer_s, _CAPTIONS_PER_ANSWER * self.info.caption_s)
        self.connection = WorkerConnection(self._process, limit_s)

    async def serve(self) -> None:
        """Read its results until it exits; kill it if it hangs."""
        try:
            await self.connection.listen()
        except TimeoutError:
            self._hung = True
            self._kill()

    async def describe_exit(self) -> str:
        """Wait until it exits, by force if it takes too long; return the reason, for people."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timing.stop_s):
                await self._process.wait()
        if self.running:
            self._hung = True
            self._kill()
        status = await self._process.wait()
        if self._hung:
            return "its process hung and was ended"
        if status >= 0:
            return f"its process exited with status {status}"
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        reason = _SIGNALS.get(-status)
        return f"its process was ended by {name}" + (f", {reason}" if reason else "")

    async def wait(self) -> int:
        """Wait until it exits, and return its exit status."""
        return await self._process.wait()

    async def end(self) -> None:
        """End it, by force if it takes too long."""
        assert self._process.stdin
        self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timing.stop_s):
                await self._process.wait()
        if self.running:
            self._kill()
            await self._process.wait()
        # A broken pipe is expected; asyncio logs it as an error unless the exception is retrieved.
        with contextlib.suppress(OSError):
            async with asyncio.timeout(self._timing.stop_s):
                await self._process.stdin.wait_closed()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


class Standby:
    """Keeps a loaded worker ready to take over, and replaces it if it exits."""

    def __init__(self, start: Callable[[], Awaitable[WorkerProcess]], timing: EngineTiming) -> None:
        """Create it without a worker; `keep` starts one.

        Args:
            start: Starts a worker.
            timing: Pauses before a worker that failed is replaced.
        """
        self._start, self._timing = start, timing
        self._keeping: asyncio.Task[None] | None = None
        self._worker: WorkerProcess | None = None
        self._taken: WorkerProcess | None = None
        self._loaded = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether a worker could take over now."""
        return self._worker is not None

    def keep(self) -> None:
        """Keep a worker ready from now on, if that is not done already."""
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(), name="engine on standby")

    async def take(self) -> WorkerProcess | None:
        """Wait until the worker is loaded, and hand it over; None if none is kept."""
        if self._keeping is None:
            return None
        await self._loaded.wait()
        self._taken = self._worker
        await self.stop()
        return self._taken

    async def stop(self) -> None:
        """Stop keeping a worker, and end it unless it was taken."""
        if self._keeping:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        self._keeping = None

    async def _keep(self) -> None:
        pause = self._timing.first_pause_s
        while True:
            try:
                if await self._stand_by(await self._start()):
                    pause = self._timing.first_pause_s
            except LoadFailed as problem:
                logger.warning("no standby worker: %s", problem)
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._timing.longest_pause_s)

    async def _stand_by(self, worker: WorkerProcess) -> bool:
        """Keep a worker until it exits; return whether it was ever ready."""
        try:
            await worker.load()
            self._worker = worker
            self._loaded.set()
            await worker.wait()
            reason = await worker.describe_exit()
            logger.warning("standby worker %d stopped: %s", worker.pid, reason)
            return True
        except LoadFailed as problem:
            logger.warning("standby worker %d failed: %s", worker.pid, problem)
            return False
        finally:
            self._worker = None
            self._loaded.clear()
            if worker is not self._taken:
                await asyncio.shield(worker.end())
