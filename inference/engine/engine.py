"""The engine: the captioner in a worker process, which is started, supervised and restarted."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.captioning import Caption, FrameRequest, FrameResult, Precision, StreamState
from inference.engine.batching import CaptionBatcher
from inference.engine.connection import ConnectionClosed, WorkerConnection
from inference.engine.messages import Message, split
from inference.engine.process import EngineTiming, LoadFailed, Standby, WorkerProcess
from inference.engine.service import (
    AnalysisKind,
    AnalysisResult,
    EngineBusy,
    EngineInfo,
    EngineState,
    EngineUnavailable,
    ExplanationResult,
)
from inference.explanations import Check, Map, Target
from inference.progress import ProgressCallback

logger = logging.getLogger(__name__)

_MAX_JOBS = 32
"""Explanations, checks and analyses at a time; more than callers allow their users, so that live
explanations never take the last one."""

_MAX_JOBS_FOR_LIVE = 8
"""With this many jobs no live explanation is started, so that users' requests find room."""


class Engine:
    """Captions in a worker process, which may exit at any time without harm to the server.

    Caption requests are answered in the order in which they arrive: one at a time, or several
    together if they arrived while the worker was busy. Callers with at most one request in flight,
    such as samplers, thereby bound the queue. Explanations, checks and analyses run in slices
    between captions, so a caption waits for one slice at most.
    """

    info: EngineInfo | None = None
    """Set once a captioner has been loaded."""

    def __init__(
        self,
        captioner: Path,
        timing: EngineTiming | None = None,
        precision: Precision = "float32",
        *,
        layer: int | None = None,
        consensus: bool = True,
        explains: bool = True,
        standby: bool = False,
        max_failures: int | None = None,
    ) -> None:
        """Prepare to run a captioner; `start` starts it.

        Args:
            captioner: Its folder.
            timing: Time limits and pauses.
            precision: Numeric precision of its encoder, and of the search of BLIP.
            layer: See `open_captioner`.
            consensus: See `open_captioner`.
            explains: Whether to compile the explanations before the worker is ready, which takes
                some seconds. If not, the first explanation waits instead.
            standby: Whether to keep a second worker loaded, which takes over at once when the
                first one exits; it takes as much memory again.
            max_failures: After so many workers in a row that failed soon, no other is started;
                neither is one if the first cannot be loaded. Unlimited if None.
        """
        self._arguments = [str(captioner), precision, "" if layer is None else str(layer)]
        self._arguments += ["captions-only"] * (not explains) + ["no-consensus"] * (not consensus)
        self._timing = timing or EngineTiming()
        self._ready = asyncio.Event()
        self._state = EngineState.STARTING
        self._worker: WorkerProcess | None = None
        self._connection: WorkerConnection | None = None
        self._supervising: asyncio.Task[None] | None = None
        self._batcher = CaptionBatcher(self._send_batch, EngineUnavailable)
        self._listeners: set[Callable[[], None]] = set()
        self._standby = Standby(self._launch, self._timing) if standby else None
        self._max_failures, self._failures = max_failures, 0
        self.starts = 0
        self.message = "The captioner is starting."

    @property
    def state(self) -> EngineState:
        """Whether captions are available now."""
        return self._state

    @property
    def pid(self) -> int | None:
        """Process id of the current worker."""
        return self._worker.pid if self._worker else None

    @property
    def has_standby(self) -> bool:
        """Whether another worker could take over now."""
        return self._standby is not None and self._standby.ready

    @property
    def jobs(self) -> int:
        """Number of explanations, checks and analyses in the worker."""
        return self._connection.jobs if self._connection else 0

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a listener at each change of the state; return a function that unsubscribes it."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def start(self) -> None:
        """Start the worker, and keep one running from now on."""
        self._supervising = asyncio.create_task(self._supervise(), name="engine")

    async def stop(self) -> None:
        """Stop the worker for good."""
        await self._batcher.stop()
        if self._supervising:
            self._supervising.cancel()
            await asyncio.gather(self._supervising, return_exceptions=True)
        self._supervising = None
        if self._standby:
            await self._standby.stop()

    async def wait_ready(self) -> None:
        """Wait until captions are available.

        Raises:
            EngineUnavailable: If they never will be, with `max_failures`.
        """
        await self._ready.wait()
        if self._has_given_up:
            raise EngineUnavailable(self.message)

    async def wait_loaded(self) -> None:
        """Wait for the first worker to be ready.

        Raises:
            EngineUnavailable: If it fails instead; the message gives the reason.
        """
        changed = asyncio.Event()
        unsubscribe = self.subscribe(changed.set)
        try:
            while self._state is EngineState.STARTING:
                await changed.wait()
                changed.clear()
        finally:
            unsubscribe()
        if self._state is not EngineState.READY:
            raise EngineUnavailable(self.message)

    async def caption(self, image: NDArray[np.uint8], beam_width: int | None = None) -> Caption:
        """Caption a single image, independent of any stream; see `caption_frame`."""
        return (await self.caption_frame(FrameRequest(image), beam_width)).caption

    async def caption_frame(
        self, request: FrameRequest, beam_width: int | None = None
    ) -> FrameResult:
        """Caption the next frame of a stream.

        Args:
            request: The frame, and the state that came with the stream's last caption; a frame
                that `info.resizing` has resized costs least.
            beam_width: The captioner's own when None.

        Raises:
            EngineUnavailable: If there is no worker, or it exits or hangs before it answers.
            ValueError: If the captioner rejects the image or the beam width.
        """
        result = await self._batcher.caption(request, beam_width)
        if result["type"] == "refused":
            raise ValueError(result["message"])
        return FrameResult(
            Caption.from_json(result["caption"]), StreamState.from_json(result["state"])
        )

    async def explain(
        self,
        image: NDArray[np.uint8],
        tokens: tuple[int, ...],
        method: str,
        target: Target,
        progress: ProgressCallback | None = None,
        *,
        live: bool = False,
        before_requests: Callable[[int], Awaitable[None]] | None = None,
    ) -> ExplanationResult:
        """Explain a caption; cancelling this cancels the explanation.

        Args:
            image: RGB, uint8 [H, W, 3] of any size; see `caption_frame`.
            tokens: The caption's, see `StreamState.tokens`.
            method: Name of one of `info.methods`.
            target: What to explain.
            progress: Called now and then with the progress.
            live: Whether no user requested it; it then leaves room for those that users request.
            before_requests: Not called: the worker sends no requests to other servers.

        Raises:
            EngineUnavailable: If there is no worker, or it exits or hangs before it answers.
            EngineBusy: If the limit of jobs at a time is reached.
            ValueError: If there is no such method, or it cannot explain the target.
        """
        request = {"type": "explain", "method": method, "target": target.to_json()}
        limit = _MAX_JOBS_FOR_LIVE if live else _MAX_JOBS
        result, _ = await self._run_job(
            request, [image.shape], image.tobytes(), tokens, progress, limit
        )
        return ExplanationResult(Map.from_json(result["map"]), result["took_ms"])

    async def check(
        self,
        image: NDArray[np.uint8],
        tokens: tuple[int, ...],
        method: str,
        index: int,
        progress: ProgressCallback | None = None,
    ) -> Check:
        """Check a word's map by blanking the region that it highlights; cancelling cancels it.

        Args:
            image: As in `explain`.
            tokens: As in `explain`.
            method: Name of the method whose map is checked.
            index: The word's index in the caption.
            progress: Called now and then with the progress.

        Raises the same as `explain`.
        """
        request = {"type": "check", "method": method, "index": index}
        result, _ = await self._run_job(
            request, [image.shape], image.tobytes(), tokens, progress, _MAX_JOBS
        )
        return Check.from_json(result["check"])

    async def analyse(
        self,
        kind: AnalysisKind,
        image: NDArray[np.uint8],
        tokens: tuple[int, ...],
        params: Mapping[str, Any],
        frames: Sequence[NDArray[np.uint8]] = (),
        progress: ProgressCallback | None = None,
    ) -> AnalysisResult:
        """Analyse a caption in depth; cancelling this cancels the analysis.

        Args:
            kind: Of the analysis.
            image: As in `explain`.
            tokens: As in `explain`.
            params: As `read_params` takes them.
            frames: Frames of the same stream, RGB, uint8 [S, S, 3] as `info.resizing`
                returns them, for the analyses that use them.
            progress: Called now and then with the progress.

        Raises:
            EngineUnavailable: As in `explain`.
            EngineBusy: As in `explain`.
            ValueError: If this cannot be analysed.
        """
        request = {"type": "analyse", "kind": kind, "params": dict(params)}
        images = [image, *frames]
        # In a thread: joining many images would block the event loop for milliseconds.
        pixels = await asyncio.to_thread(lambda: b"".join(each.tobytes() for each in images))
        shapes = [each.shape for each in images]
        result, payload = await self._run_job(request, shapes, pixels, tokens, progress, _MAX_JOBS)
        files = zip(result["files"], split(payload, result["files"].values()), strict=True)
        return AnalysisResult(dict(files), tuple(result["summary"]), result["took_ms"])

    async def _run_job(
        self,
        request: dict[str, Any],
        shapes: Sequence[tuple[int, ...]],
        pixels: bytes,
        tokens: tuple[int, ...],
        progress: ProgressCallback | None,
        limit: int,
    ) -> Message:
        connection = self._ready_connection()
        if connection.jobs >= limit:
            raise EngineBusy("too many explanations and analyses are running; try again later")
        try:
            message = await connection.run_job(
                {**request, "shapes": shapes, "tokens": tokens}, pixels, progress
            )
        except ConnectionClosed as problem:
            raise EngineUnavailable(str(problem)) from problem
        if message[0]["type"] == "failed":
            raise ValueError(message[0]["message"])
        return message

    async def _send_batch(self, request: dict[str, Any], pixels: bytes) -> list[dict[str, Any]]:
        try:
            return await self._ready_connection().caption(request, pixels)
        except ConnectionClosed as problem:
            raise EngineUnavailable(str(problem)) from problem

    def _ready_connection(self) -> WorkerConnection:
        if not self._connection or self._state is not EngineState.READY:
            raise EngineUnavailable(self.message)
        return self._connection

    async def _supervise(self) -> None:
        """Keep one worker running, until cancelled."""
        pause = self._timing.first_pause_s
        while True:
            served_s = await self._run_worker()
            if self._has_given_up:
                # Wakes those that wait.
                self._ready.set()
                return
            if self.has_standby:
                continue
            if served_s > self._timing.longest_pause_s:
                pause = self._timing.first_pause_s
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._timing.longest_pause_s)

    @property
    def _has_given_up(self) -> bool:
        return self._max_failures is not None and (
            self._failures >= self._max_failures or (self.info is None and self._failures > 0)
        )

    async def _run_worker(self) -> float:
        """Run a worker until it exits: the standby, or a new one; return how long it served."""
        self.starts += 1
        try:
            worker = await self._next_worker()
        except LoadFailed as problem:
            self._fail(str(problem))
            return 0.0
        self._worker = worker
        try:
            return await self._serve(worker)
        finally:
            self._worker = None
            await asyncio.shield(worker.end())

    async def _next_worker(self) -> WorkerProcess:
        standby = await self._standby.take() if self._standby else None
        return standby or await self._launch()

    async def _launch(self) -> WorkerProcess:
        return await WorkerProcess.start(self._arguments, self._timing)

    async def _serve(self, worker: WorkerProcess) -> float:
        """Load the worker and pass requests to it until it exits; return for how long it did."""
        if not worker.loaded:
            try:
                await worker.load()
            except LoadFailed as problem:
                self._fail(str(problem))
                return 0.0
        begun = time.monotonic()
        self.info = worker.info
        self._batcher.max_batch = worker.info.max_batch
        self._connection = worker.connection
        if self._standby:
            self._standby.keep()
        try:
            self._change(EngineState.READY, "")
            await worker.serve()
        finally:
            self._connection = None
        # At once, although the reason is not known yet.
        self._change(EngineState.PAUSED, "The captioner stopped; restarting it.")
        reason = await worker.describe_exit()
        served_s = time.monotonic() - begun
        if served_s > self._timing.longest_pause_s:
            self._failures = 0
        self._fail(f"The captioner stopped: {reason}.")
        return served_s

    def _fail(self, message: str) -> None:
        """Report why there is no worker, and count the failure."""
        self._failures += 1
        if not self._has_given_up:
            message += " Trying again."
            logger.warning("no worker process: %s", message)
        self._change(EngineState.PAUSED, message)

    def _change(self, state: EngineState, message: str) -> None:
        is_new = (state, message) != (self._state, self.message)
        self._state, self.message = state, message
        if state is EngineState.READY:
            self._ready.set()
        else:
            self._ready.clear()
        for listener in list(self._listeners) if is_new else ():
            listener()
