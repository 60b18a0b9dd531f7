"""The explanations and checks that a client asked for: several at once, each under its number.

The analyses that a client asked for: it is told how far they are, and where the results are.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any

from inference.concepts import ConceptParams
from inference.engine import CaptionService, EngineUnavailable, Params, Progress, read_params
from inference.explanations import Target
from inference.progress import Step
from stream.analyses import Analyses, Analysis, AnalysisState, Refused, refusing
from stream.captioning import FrameGone, KeptFrame, RecentPictures, StudiedFrames
from stream.data_channel import messages
from stream.data_channel.channel import CaptionChannel

_MOST = 4
"""Of one client at once."""

_PROGRESS_S = 0.5
"""Between two words on how far one is."""


class AskedExplanations:
    """Answers each request in a task of its own, with an error if need be, under its id."""

    def __init__(
        self,
        captions: CaptionService,
        frames: StudiedFrames,
        most_s: float,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[object]],
    ) -> None:
        """Explain captions whose pictures are kept.

        Args:
            captions: What explains.
            frames: The pictures.
            most_s: How long one may take.
            spawn: Runs what the session ends with itself.
        """
        self._captions, self._frames = captions, frames
        self._most_s, self._spawn = most_s, spawn
        self._tasks: dict[int, asyncio.Task[object]] = {}

    def __contains__(self, asked: int) -> bool:
        """Whether something asked under this id is not answered yet."""
        return asked in self._tasks

    def ask(self, message: dict[str, Any], channel: CaptionChannel) -> None:
        """Begin to answer an `explain` or a `check`."""
        asked = message["id"]
        try:
            kept = self._admit(message)
        except Refused as refused:
            channel.error(refused.code, str(refused), asked)
            return
        task = self._tasks[asked] = self._spawn(self._answer(message, kept, channel))
        task.add_done_callback(lambda _: self._tasks.pop(asked))

    def cancel(self, asked: int, channel: CaptionChannel) -> None:
        """Give up what was asked under this id, unless it is answered."""
        task = self._tasks.get(asked)
        if task and not task.done() and not task.cancelling():
            task.cancel()
            channel.error("cancelled", "it was cancelled", asked)

    def _admit(self, message: dict[str, Any]) -> KeptFrame:
        if len(self._tasks) >= _MOST:
            raise Refused("busy", f"{_MOST} requests are under way: wait for one, or cancel one")
        try:
            return self._frames.find(message["seq"])
        except FrameGone as problem:
            raise Refused("gone", str(problem)) from problem

    async def _answer(
        self, message: dict[str, Any], kept: KeptFrame, channel: CaptionChannel
    ) -> None:
        try:
            async with refusing("cannot-explain", self._most_s):
                answer = await self._find(message, kept, _teller(message["id"], channel))
            if not await channel.answer(answer):
                raise Refused("busy", "the connection is too slow for the answer: ask again")
        except Refused as refused:
            channel.error(refused.code, str(refused), message["id"])

    async def _find(
        self, message: dict[str, Any], kept: KeptFrame, progress: Progress
    ) -> dict[str, Any]:
        captions, tokens = self._captions, kept.captioned.tokens
        asked, seq, method = message["id"], message["seq"], message["method"]
        if captions.info is None:
            raise EngineUnavailable(captions.message)
        picture = await kept.picture(captions.info.image_size)
        if message["type"] == "check":
            index = message["index"]
            check = await captions.check(picture, tokens, method, index, progress)
            return messages.checked(asked, seq, method, index, check)
        target = Target.from_json(message["of"])
        explained = await captions.explain(picture, tokens, method, target, progress)
        return messages.explanation(asked, seq, method, target, explained)


def _teller(asked: int, channel: CaptionChannel) -> Progress:
    """Tell the client how far it is, now and then."""
    begun = time.monotonic()
    told_at = begun

    def tell(step: Step) -> None:
        nonlocal told_at
        now = time.monotonic()
        if now - told_at >= _PROGRESS_S:
            told_at = now
            channel.send(messages.progress(asked, step.done, now - begun))

    return tell


class AskedAnalyses:
    """Tells a client of each analysis that it asked for, under its id, while it is connected."""

    def __init__(
        self,
        analyses: Analyses,
        frames: StudiedFrames,
        pictures: RecentPictures,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[object]],
    ) -> None:
        """Have captions analysed whose pictures are kept.

        Args:
            analyses: Those of the server, to which they belong.
            frames: The captions' pictures.
            pictures: What else the stream showed lately.
            spawn: Runs what the session ends with itself.
        """
        self._analyses, self._frames, self._pictures = analyses, frames, pictures
        self._spawn = spawn
        self._asked: dict[int, Analysis] = {}

    def __contains__(self, asked: int) -> bool:
        """Whether something asked under this id is not answered yet."""
        return asked in self._asked

    def ask(self, message: dict[str, Any], channel: CaptionChannel) -> None:
        """Begin to answer an `analyze`."""
        asked = message["id"]
        try:
            analysis = self._begin(message)
        except Refused as refused:
            channel.error(refused.code, str(refused), asked)
            return
        self._asked[asked] = analysis
        _tell(asked, analysis, channel)
        task = self._spawn(self._answer(message, analysis, channel))
        task.add_done_callback(lambda _: self._asked.pop(asked))

    def cancel(self, asked: int) -> None:
        """Give up what was asked under this id, unless it is answered."""
        analysis = self._asked.get(asked)
        if analysis and analysis.state is AnalysisState.RUNNING:
            self._analyses.cancel(analysis)

    def _begin(self, message: dict[str, Any]) -> Analysis:
        kind = message["kind"]
        try:
            params = read_params(kind, message["params"])
            kept = self._frames.find(message["seq"])
        except FrameGone as problem:
            raise Refused("gone", str(problem)) from problem
        except ValueError as problem:
            raise Refused("bad-message", f"params.{problem}") from problem
        return self._analyses.begin(kind, message["params"], kept, self._frames_for(params))

    def _frames_for(self, params: Params) -> tuple[Any, ...]:
        seeks = isinstance(params, ConceptParams) and params.scope == "frames"
        return self._pictures.all() if seeks else ()

    async def _answer(
        self, message: dict[str, Any], analysis: Analysis, channel: CaptionChannel
    ) -> None:
        asked = message["id"]
        while not await _ends_soon(analysis):
            _tell(asked, analysis, channel)
        if analysis.state is not AnalysisState.DONE:
            channel.error(analysis.code, analysis.message, asked)
            return
        result = messages.result(asked, message["seq"], analysis.path, analysis.to_json())
        if not await channel.answer(result):
            told = f"the connection is too slow for the answer: it is at {analysis.path}"
            channel.error("busy", told, asked)


def _tell(asked: int, analysis: Analysis, channel: CaptionChannel) -> None:
    channel.send(messages.analysis_progress(asked, analysis.path, analysis.far()))


async def _ends_soon(analysis: Analysis) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(analysis.ended.wait(), _PROGRESS_S)
    return analysis.ended.is_set()
