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
from inference.quantized import Precision
from inference.steadiness import Anchor, Followed, View
from inference.wire import pack, read

logger = logging.getLogger(__name__)

_LARGEST_BATCH = 4
"""Pictures that are captioned together: more would make the first of them wait too long."""


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
    tags: bool
    """Whether captions come with object tags."""


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


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    view: View
    beam_width: int | None
    answer: asyncio.Future[dict[str, Any]]


class Engine:
    """Captions by a process that may die at any time without anything else noticing.

    Requests are answered in the order in which they come: one at a time, or together where
    several came while the process was busy. A caller with one request in flight at most, as every
    sampler is, thereby bounds what waits.
    """

    info: EngineInfo | None = None
    """Known once a captioner has been loaded."""

    def __init__(
        self,
        captioner: Path,
        timing: EngineTiming | None = None,
        precision: Precision = "float32",
    ) -> None:
        """Prepare to run the captioner in this folder; `start` starts it."""
        self._captioner = captioner
        self._timing = timing or EngineTiming()
        self._precision = precision
        self._ready = asyncio.Event()
        self._state = EngineState.STARTING
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._waiting: list[_Request] = []
        self._asking: asyncio.Task[None] | None = None
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
        tasks = [task for task in (self._asking, self._watching) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._asking = self._watching = None
        _settle(self._waiting, EngineUnavailable("the engine was stopped"))
        self._waiting = []

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
        """Caption one picture that belongs to no stream; see `follow`."""
        return (await self.follow(View(image), beam_width)).caption

    async def follow(self, view: View, beam_width: int | None = None) -> Followed:
        """Caption a stream's next picture.

        Args:
            view: The picture, and the anchor that came with the stream's last caption; a picture
                of `info.image_size` costs the least.
            beam_width: The captioner's own when None.

        Raises:
            EngineUnavailable: If there is no process to ask, or it ended or hung meanwhile.
            ValueError: If the captioner refuses the image or the beam width.
        """
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(_Request(view, beam_width, answer))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name="engine requests")
        answered = await answer
        if answered["type"] == "refused":
            raise ValueError(answered["message"])
        return Followed(
            Caption.from_json(answered["caption"]), Anchor.from_json(answered["anchor"])
        )

    async def _ask(self) -> None:
        """Have everything answered that waits.

        In a task of its own: a caller that gives up leaves the exchange whole, as half of it would
        garble the next.
        """
        while batch := self._take():
            outcome: list[dict[str, Any]] | Exception = EngineUnavailable("the engine was stopped")
            try:
                outcome = await self._exchange(_packed(batch))
            except EngineUnavailable as problem:
                outcome = problem
            finally:
                _settle(batch, outcome)

    def _take(self) -> list[_Request]:
        """Take the requests that are to be answered next: of one beam width, and still wanted."""
        wanted = [request for request in self._waiting if not request.answer.done()]
        together = [r for r in wanted if r.beam_width == wanted[0].beam_width][:_LARGEST_BATCH]
        self._waiting = [request for request in wanted if request not in together]
        return together

    async def _exchange(self, request: bytes) -> list[dict[str, Any]]:
        process = self._process
        if not process or self._state is not EngineState.READY:
            raise EngineUnavailable(self.message)
        assert process.stdin and process.stdout
        try:
            async with asyncio.timeout(self._timing.answer_s):
                process.stdin.write(request)
                await process.stdin.drain()
                message, _ = await read(process.stdout)
                answers: list[dict[str, Any]] = message["answers"]
                return answers
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
            self._precision,
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
            ended = (process.pid, process.returncode, self.message)
            logger.warning("engine process %d ended with %s: %s", *ended)
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


def _packed(batch: list[_Request]) -> bytes:
    views = [request.view for request in batch]
    streams = [
        {"anchor": view.anchor and view.anchor.to_json(), "afresh": view.afresh} for view in views
    ]
    message = {
        "shapes": [view.image.shape for view in views],
        "streams": streams,
        "beam_width": batch[0].beam_width,
    }
    return pack(message, b"".join(view.image.tobytes() for view in views))


def _settle(requests: list[_Request], outcome: list[dict[str, Any]] | Exception) -> None:
    for place, request in enumerate(requests):
        if request.answer.done():
            continue
        if isinstance(outcome, Exception):
            request.answer.set_exception(outcome)
        else:
            request.answer.set_result(outcome[place])


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
