"""The analyses that a client asked for: it is told how far they are, and where the results are."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from inference.analysis_params import Params, read_params
from inference.concepts.params import ConceptParams
from stream import messages
from stream.analyses import Analyses, Analysis, AnalysisState
from stream.caption_channel import CaptionChannel
from stream.kept_frames import FrameGone, StudiedFrames
from stream.recent_pictures import RecentPictures
from stream.refused import Refused

_PROGRESS_S = 0.5
"""Between two words on how far one is."""


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
