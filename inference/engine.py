"""The engine: the captioner in a process of its own, started, watched and started again."""

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.caption import Caption
from inference.wire import pack, read

logger = logging.getLogger(__name__)


class EngineState(StrEnum):
    """Whether captions can be had."""

    STARTING = "starting"
    """The captioner is being loaded for the first time."""
    READY = "ready"
    PAUSED = "paused"
    """The process ended or hung; another is being started."""


class EngineUnavailable(RuntimeError):
    """No caption now: the process is not ready, or ended before it answered."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the loaded captioner says of itself."""

    name: str
    encoder: str
    image_size: int
    vocabulary_size: int
    beam_width: int
    licence: str
    figures: dict[str, float]


@dataclass(frozen=True, slots=True)
class EngineTiming:
    """How patient the engine is, in seconds."""

    answer_s: float = 20.0
    """A process that takes longer to answer is killed."""
    load_s: float = 120.0
    """A process that takes longer to load is killed."""
    first_pause_s: float = 0.5
    """Before the first new start; doubled with each start that fails."""
    longest_pause_s: float = 30.0
    stop_s: float = 1.0
    """What a process is given to end by itself."""


class Engine:
    """Captions by a process that may die at any time without anything else noticing.

    Requests are answered in the order in which they come, one at a time. A caller with one
    request in flight at most, as every sampler is, thereby bounds what waits.
    """

    info: EngineInfo | None = None
    """Known once a captioner has been loaded."""

    def __init__(self, captioner: Path, timing: EngineTiming | None = None) -> None:
        """Prepare to run the captioner in this folder; `start` starts it."""
        self._captioner = captioner
        self._timing = timing or EngineTiming()
        self._turn = asyncio.Lock()
        self._ready = asyncio.Event()
        self._state = EngineState.STARTING
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[dict[str, Any]]] = set()
        self._listeners: set[Callable[[], None]] = set()
        self.starts = 0
        self.message = "The captioner is starting."

    @property
    def state(self) -> EngineState:
        """Whether captions can be had now."""
        return self._state

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._process.pid if self._process else None

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener at each change of the state; return what ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def start(self) -> None:
        """Start the process, and see to it that one runs from now on."""
        self._watching = asyncio.create_task(self._watch(), name="engine")

    async def stop(self) -> None:
        """End the process, and do not start it again."""
        tasks = [*self._asking, *([self._watching] if self._watching else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._watching = None

    async def wait_ready(self) -> None:
        """Wait until captions can be had."""
        await self._ready.wait()

    async def wait_loaded(self) -> None:
        """Wait for the first process to be ready.

        Raises:
            EngineUnavailable: If it fails instead; the message says why.
        """
        settled = asyncio.Event()
        unsubscribe = self.subscribe(settled.set)
        try:
            while self._state is EngineState.STARTING:
                await settled.wait()
                settled.clear()
        finally:
            unsubscribe()
        if self._state is not EngineState.READY:
            raise EngineUnavailable(self.message)

    async def caption(self, image: NDArray[np.uint8], beam_width: int | None = None) -> Caption:
        """Caption one picture.

        Args:
            image: RGB, uint8 [H, W, 3]; one of `info.image_size` already costs the least.
            beam_width: The captioner's own when None.

        Raises:
            EngineUnavailable: If there is no process to ask, or it ended or hung meanwhile.
            ValueError: If the captioner refuses the image or the beam width.
        """
        request = pack({"shape": image.shape, "beam_width": beam_width}, image.tobytes())
        asking = asyncio.create_task(self._ask(request))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        # A caller that gives up leaves the exchange whole: half of it would garble the next.
        answer = await asyncio.shield(asking)
        if answer["type"] == "refused":
            raise ValueError(answer["message"])
        return Caption.from_json(answer["caption"])

    async def _ask(self, request: bytes) -> dict[str, Any]:
        async with self._turn:
            return await self._exchange(request)

    async def _exchange(self, request: bytes) -> dict[str, Any]:
        process = self._process
        if not process or self._state is not EngineState.READY:
            raise EngineUnavailable(self.message)
        assert process.stdin and process.stdout
        try:
            async with asyncio.timeout(self._timing.answer_s):
                process.stdin.write(request)
                await process.stdin.drain()
                answer, _ = await read(process.stdout)
                return answer
        except TimeoutError as problem:
            _kill(process)
            raise EngineUnavailable("the captioner's process hung and was ended") from problem
        except (OSError, EOFError) as problem:
            raise EngineUnavailable("the captioner's process ended") from problem

    async def _watch(self) -> None:
        """Keep one process running, until cancelled."""
        pause = self._timing.first_pause_s
        while True:
            begun = time.monotonic()
            await self._run()
            if time.monotonic() - begun > self._timing.longest_pause_s:
                pause = self._timing.first_pause_s
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._timing.longest_pause_s)

    async def _run(self) -> None:
        """Start a process and wait for its end."""
        self.starts += 1
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "inference.worker",
            str(self._captioner),
            cwd=Path(__file__).parent.parent,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C in the terminal is the server's to answer.
            start_new_session=True,
        )
        self._process = process
        try:
            problem = await self._load(process)
            await process.wait()
            self._change(EngineState.PAUSED, problem or "The captioner stopped; restarting it.")
            logger.warning("engine process %d ended with %s", process.pid, process.returncode)
        finally:
            self._process = None
            await asyncio.shield(self._end(process))

    async def _load(self, process: asyncio.subprocess.Process) -> str | None:
        """Wait until the process is ready; return why it never will be, or None."""
        assert process.stdout
        try:
            async with asyncio.timeout(self._timing.load_s):
                answer, _ = await read(process.stdout)
        except TimeoutError:
            _kill(process)
            return "The captioner took too long to load; trying again."
        except (EOFError, OSError):
            return "The captioner ended while it was loading; trying again."
        if answer.pop("type") == "failed":
            return f"The captioner cannot be loaded: {answer['message']}"
        self.info = EngineInfo(**answer)
        self._change(EngineState.READY, "")
        return None

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timing.stop_s):
                await process.wait()
        if process.returncode is None:
            _kill(process)
            await process.wait()

    def _change(self, state: EngineState, message: str) -> None:
        self._state, self.message = state, message
        if state is EngineState.READY:
            self._ready.set()
        else:
            self._ready.clear()
        for listener in list(self._listeners):
            listener()


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
