"""The engine: the captioner in a process of its own, started, watched and started again."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.captioning import Anchor, Caption, Followed, Precision, View
from inference.engine.batching import CaptionRequests
from inference.engine.connection import Answered, Conversation, ConversationEnded, Progress, parted
from inference.engine.process import EngineProcess, EngineTiming, LoadFailed, Standby
from inference.engine.service import (
    Analysed,
    AnalysisKind,
    Busy,
    EngineInfo,
    EngineState,
    EngineUnavailable,
    Explained,
)
from inference.explanations import Check, Map, Target

logger = logging.getLogger(__name__)


_MOST_JOBS = 16
"""Explanations, checks and analyses at once."""


_MOST_BEFORE_LIVE = 8
"""With so many under way none is begun that nobody asked for: it would take another's place."""


class Engine:
    """Captions by a process that may die at any time without anything else noticing.

    Requests for captions are answered in the order in which they come: one at a time, or together
    where several came while the process was busy. A caller with one request in flight at most, as
    every sampler is, thereby bounds what waits. Explanations, checks and analyses are done in
    slices between captions, which never wait for more than a slice.
    """

    info: EngineInfo | None = None
    """Known once a captioner has been loaded."""

    def __init__(
        self,
        captioner: Path,
        timing: EngineTiming | None = None,
        precision: Precision = "float32",
        *,
        explains: bool = True,
        standby: bool = False,
    ) -> None:
        """Prepare to run a captioner; `start` starts it.

        Args:
            captioner: Its folder.
            timing: How patient to be.
            precision: What its encoder computes in.
            explains: Whether explanations will be asked for: the process is then not ready before
                they are, which takes some seconds. If not, the first of them waits instead.
            standby: Whether to keep a second process loaded, which takes over at once when the
                first ends; it takes as much memory again.
        """
        self._arguments = [str(captioner), precision, *([] if explains else ["captions-only"])]
        self._timing = timing or EngineTiming()
        self._ready = asyncio.Event()
        self._state = EngineState.STARTING
        self._process: EngineProcess | None = None
        self._conversation: Conversation | None = None
        self._watching: asyncio.Task[None] | None = None
        self._requests = CaptionRequests(self._caption_batch, EngineUnavailable)
        self._listeners: set[Callable[[], None]] = set()
        self._standby = Standby(self._launch, self._timing) if standby else None
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

    @property
    def has_standby(self) -> bool:
        """Whether another process could take over now."""
        return self._standby is not None and self._standby.ready

    @property
    def jobs(self) -> int:
        """Explanations, checks and analyses that the process has."""
        return self._conversation.jobs if self._conversation else 0

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener at each change of the state; return what ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def start(self) -> None:
        """Start the process, and see to it that one runs from now on."""
        self._watching = asyncio.create_task(self._watch(), name="engine")

    async def stop(self) -> None:
        """End the process, and do not start it again."""
        await self._requests.stop()
        if self._watching:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        self._watching = None
        if self._standby:
            await self._standby.stop()

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
        answered = await self._requests.follow(view, beam_width)
        if answered["type"] == "refused":
            raise ValueError(answered["message"])
        return Followed(
            Caption.from_json(answered["caption"]), Anchor.from_json(answered["anchor"])
        )

    async def explain(
        self,
        picture: NDArray[np.uint8],
        tokens: tuple[int, ...],
        method: str,
        target: Target,
        progress: Progress | None = None,
        *,
        live: bool = False,
    ) -> Explained:
        """Explain a caption; cancelling this gives it up.

        Args:
            picture: RGB, uint8 [H, W, 3] of any size; one of `info.image_size` costs the least.
            tokens: The caption's, as `Anchor.tokens`.
            method: The name of one of `info.methods`.
            target: What to explain.
            progress: Told now and then how much is done.
            live: Whether nobody asked for it: it then leaves room for what is asked for.

        Raises:
            EngineUnavailable: If there is no process to ask, or it ended or hung meanwhile.
            Busy: If as many explanations and checks are under way as may be.
            ValueError: If there is no such method, or it cannot explain that.
        """
        request = {"type": "explain", "method": method, "target": target.to_json()}
        most = _MOST_BEFORE_LIVE if live else _MOST_JOBS
        answer, _ = await self._do(
            request, [picture.shape], picture.tobytes(), tokens, progress, most
        )
        return Explained(Map.from_json(answer["map"]), answer["took_ms"])

    async def check(
        self,
        picture: NDArray[np.uint8],
        tokens: tuple[int, ...],
        method: str,
        index: int,
        progress: Progress | None = None,
    ) -> Check:
        """Put the map of a word to the test; cancelling this gives it up.

        Args:
            picture: As `explain` takes it.
            tokens: As `explain` takes them.
            method: The method whose map is tested.
            index: The word's place in the caption.
            progress: Told now and then how much is done.

        Raises:
            EngineUnavailable: As `explain` does.
            Busy: As `explain` does.
            ValueError: As `explain` does.
        """
        request = {"type": "check", "method": method, "index": index}
        answer, _ = await self._do(
            request, [picture.shape], picture.tobytes(), tokens, progress, _MOST_JOBS
        )
        return Check.from_json(answer["check"])

    async def analyse(
        self,
        kind: AnalysisKind,
        picture: NDArray[np.uint8],
        tokens: tuple[int, ...],
        params: Mapping[str, Any],
        frames: Sequence[NDArray[np.uint8]] = (),
        progress: Progress | None = None,
    ) -> Analysed:
        """Analyse a caption at length; cancelling this gives it up.

        Args:
            kind: Of the analysis.
            picture: As `explain` takes it.
            tokens: As `explain` takes them.
            params: What is asked, as `analysis_params.read_params` takes it.
            frames: Pictures of the same stream, RGB, each uint8 [S, S, 3] with S
                `info.image_size`: where concepts are sought, if that is asked.
            progress: Told now and then how much is done, and what is done next.

        Raises:
            EngineUnavailable: As `explain` does.
            Busy: As `explain` does.
            ValueError: If that cannot be analysed.
        """
        request = {"type": "analyse", "kind": kind, "params": dict(params)}
        pictures = [picture, *frames]
        # Beside the event loop: many pictures take it milliseconds.
        pixels = await asyncio.to_thread(_joined, pictures)
        shapes = [each.shape for each in pictures]
        answer, payload = await self._do(request, shapes, pixels, tokens, progress, _MOST_JOBS)
        files = zip(answer["files"], parted(payload, answer["files"].values()), strict=True)
        return Analysed(dict(files), tuple(answer["summary"]), answer["took_ms"])

    async def _do(
        self,
        request: dict[str, Any],
        shapes: Sequence[tuple[int, ...]],
        pixels: bytes,
        tokens: tuple[int, ...],
        progress: Progress | None,
        most: int,
    ) -> Answered:
        conversation = self._open_conversation()
        if conversation.jobs >= most:
            raise Busy("as many explanations and analyses are under way as may be")
        try:
            answered = await conversation.do(
                {**request, "shapes": shapes, "tokens": tokens}, pixels, progress
            )
        except ConversationEnded as problem:
            raise EngineUnavailable(str(problem)) from problem
        if answered[0]["type"] == "failed":
            raise ValueError(answered[0]["message"])
        return answered

    async def _caption_batch(
        self, request: dict[str, Any], pictures: bytes
    ) -> list[dict[str, Any]]:
        try:
            return await self._open_conversation().follow(request, pictures)
        except ConversationEnded as problem:
            raise EngineUnavailable(str(problem)) from problem

    def _open_conversation(self) -> Conversation:
        if not self._conversation or self._state is not EngineState.READY:
            raise EngineUnavailable(self.message)
        return self._conversation

    async def _watch(self) -> None:
        """Keep one process running, until cancelled."""
        pause = self._timing.first_pause_s
        while True:
            begun = time.monotonic()
            await self._run()
            if self.has_standby:
                continue
            if time.monotonic() - begun > self._timing.longest_pause_s:
                pause = self._timing.first_pause_s
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._timing.longest_pause_s)

    async def _run(self) -> None:
        """Have a process answer until its end: the one on standby, or a new one."""
        self.starts += 1
        try:
            process = await self._next()
        except LoadFailed as unstarted:
            self._change(EngineState.PAUSED, str(unstarted))
            logger.warning("no engine process: %s", unstarted)
            return
        self._process = process
        try:
            problem = await self._answer(process)
            self._change(EngineState.PAUSED, problem)
            ended = (process.pid, await process.wait(), self.message)
            logger.warning("engine process %d ended with %s: %s", *ended)
        finally:
            self._process = None
            await asyncio.shield(process.end())

    async def _next(self) -> EngineProcess:
        spare = await self._standby.take() if self._standby else None
        return spare or await self._launch()

    async def _launch(self) -> EngineProcess:
        return await EngineProcess.start(self._arguments, self._timing)

    async def _answer(self, process: EngineProcess) -> str:
        """Let requests through from when the process is loaded; return why it is over."""
        if not process.loaded:
            try:
                await process.load()
            except LoadFailed as problem:
                return str(problem)
        self.info = process.info
        self._conversation = process.conversation
        if self._standby:
            self._standby.keep()
        try:
            self._change(EngineState.READY, "")
            await process.answer()
        finally:
            self._conversation = None
        return "The captioner stopped; restarting it."

    def _change(self, state: EngineState, message: str) -> None:
        self._state, self.message = state, message
        if state is EngineState.READY:
            self._ready.set()
        else:
            self._ready.clear()
        for listener in list(self._listeners):
            listener()


def _joined(pictures: Sequence[NDArray[np.uint8]]) -> bytes:
    return b"".join(picture.tobytes() for picture in pictures)
