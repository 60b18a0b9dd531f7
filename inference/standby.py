"""A process that is loaded already, to take over at once when the one that answers ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from inference.engine_process import EngineProcess, EngineTiming, LoadFailed

logger = logging.getLogger(__name__)


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
