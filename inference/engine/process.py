"""One process of the engine, from its start to its end.

A process that is loaded already, to take over at once when the one that answers ends.
"""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.engine.connection import Conversation, read
from inference.engine.service import EngineInfo

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EngineTiming:
    """How patient the engine is, in seconds."""

    answer_s: float = 20.0
    """A process that owes an answer and is silent for longer is killed."""
    load_s: float = 300.0
    """A process that takes longer to load is killed."""
    first_pause_s: float = 0.5
    """Before the first new start; doubled with each start that fails."""
    longest_pause_s: float = 30.0
    stop_s: float = 1.0
    """What a process is given to end by itself."""


class LoadFailed(RuntimeError):
    """The process will never be ready; the message says why, for people."""


class EngineProcess:
    """A process that loads a captioner, and answers until it ends; `end` it in any case."""

    info: EngineInfo
    """Known once it is loaded."""
    conversation: Conversation
    """To be had once it is loaded."""

    def __init__(self, process: asyncio.subprocess.Process, timing: EngineTiming) -> None:
        """Take over a process that was just started."""
        self._process, self._timing = process, timing

    @classmethod
    async def start(cls, arguments: Sequence[str], timing: EngineTiming) -> "EngineProcess":
        """Start one with the arguments of `inference.engine.worker`; it is not loaded yet.

        Raises:
            LoadFailed: If the system has no process to give.
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
                # Ctrl-C in the terminal is the server's to answer.
                start_new_session=True,
            )
        except OSError as problem:
            told = f"The captioner cannot be started: {problem.strerror}; trying again."
            raise LoadFailed(told) from problem
        return cls(process, timing)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def lives(self) -> bool:
        """Whether it has not ended yet, as far as is known."""
        return self._process.returncode is None

    @property
    def loaded(self) -> bool:
        """Whether it is ready to answer, or was."""
        return hasattr(self, "info")

    async def load(self) -> None:
        """Wait until it is ready.

        Raises:
            LoadFailed: If it never will be.
        """
        assert self._process.stdout
        try:
            async with asyncio.timeout(self._timing.load_s):
                answer, _ = await read(self._process.stdout)
        except TimeoutError:
            self._kill()
            raise LoadFailed("The captioner took too long to load; trying again.") from None
        except (EOFError, OSError):
            raise LoadFailed("The captioner ended while it was loading; trying again.") from None
        if answer.pop("type") == "failed":
            raise LoadFailed(f"The captioner cannot be loaded: {answer['message']}")
        self.info = EngineInfo.from_json(answer)
        self.conversation = Conversation(self._process, self._timing.answer_s)

    async def answer(self) -> None:
        """Let it answer until it ends; end it if it hangs."""
        try:
            await self.conversation.listen()
        except TimeoutError:
            self._kill()

    async def wait(self) -> int:
        """Wait for its end, and return its exit status."""
        return await self._process.wait()

    async def end(self) -> None:
        """Have it end, by force if it takes long."""
        assert self._process.stdin
        self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timing.stop_s):
                await self._process.wait()
        if self.lives:
            self._kill()
            await self._process.wait()
        # That its pipe broke is no news; asyncio logs it as an error unless somebody hears of it.
        with contextlib.suppress(OSError):
            async with asyncio.timeout(self._timing.stop_s):
                await self._process.stdin.wait_closed()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


class Standby:
    """Keeps one such process, once it is told to."""

    def __init__(self, start: Callable[[], Awaitable[EngineProcess]], timing: EngineTiming) -> None:
        """Keep none as yet.

        Args:
            start: Starts a process.
            timing: How long to pause before another is started in place of one that failed.
        """
        self._start, self._timing = start, timing
        self._keeping: asyncio.Task[None] | None = None
        self._process: EngineProcess | None = None
        self._taken: EngineProcess | None = None
        self._loaded = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether there is one that could take over now."""
        return self._process is not None

    def keep(self) -> None:
        """See to it that there is one soon, unless that is seen to already."""
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(), name="engine on standby")

    async def take(self) -> EngineProcess | None:
        """Hand over the process, once it is loaded; None if none is kept or on its way."""
        if self._keeping is None:
            return None
        await self._loaded.wait()
        self._taken = self._process
        await self.stop()
        return self._taken

    async def stop(self) -> None:
        """Keep none any more."""
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
                logger.warning("no engine process on standby: %s", problem)
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._timing.longest_pause_s)

    async def _stand_by(self, process: EngineProcess) -> bool:
        """Keep a process until it ends; return whether it could have taken over."""
        try:
            await process.load()
            self._process = process
            self._loaded.set()
            ended = await process.wait()
            logger.warning("engine process %d on standby ended with %d", process.pid, ended)
            return True
        except LoadFailed as problem:
            logger.warning("engine process %d on standby failed: %s", process.pid, problem)
            return False
        finally:
            self._process = None
            self._loaded.clear()
            if process is not self._taken:
                await asyncio.shield(process.end())
