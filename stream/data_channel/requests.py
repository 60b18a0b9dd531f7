"""A client's requests for explanations, checks and analyses: several at once, each with an id."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any

from inference.concepts import ConceptParams
from inference.engine import AnalysisParams, EngineUnavailable, read_params
from inference.explanations import RoughMap, Target
from inference.progress import Progress, ProgressCallback, TimeLeft
from stream.analyses import Analyses, Analysis, AnalysisState, RequestError, request_errors
from stream.captioning import ClientFrames, FrameNotFound, KeptFrame, RecentFrames
from stream.context import StreamContext
from stream.data_channel import messages
from stream.data_channel.channel import CaptionChannel
from stream.quota import Owner, QuotaExceeded

_MAX_RUNNING = 4
"""Explanations and checks of one client at once."""

_PROGRESS_INTERVAL_S = 0.5
"""Time between two messages about the progress of a request."""


class ExplanationRequests:
    """Answers `explain` and `check` messages, each in a task of its own."""

    def __init__(
        self,
        context: StreamContext,
        frames: ClientFrames,
        owner: Owner,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[object]],
    ) -> None:
        """Prepare to answer a client.

        Args:
            context: The server's caption service, settings and limits.
            frames: Frames that the client can request.
            owner: Whose requests these are.
            spawn: Runs a coroutine that is cancelled when the session ends.
        """
        self._caption_service, self._frames = context.caption_service, frames
        self._limits, self._owner = context.limits, owner
        self._timeout_s, self._spawn = context.settings.explanation_s, spawn
        self._tasks: dict[int, asyncio.Task[object]] = {}

    def __contains__(self, request_id: int) -> bool:
        """Return whether a request with this id is running."""
        return request_id in self._tasks

    def start(self, message: dict[str, Any], channel: CaptionChannel) -> None:
        """Start to answer an `explain` or a `check`."""
        request_id = message["id"]
        try:
            kept = self._find_frame(message)
        except RequestError as error:
            channel.send_error(error.code, str(error), request_id)
            return
        task = self._tasks[request_id] = self._spawn(self._answer(message, kept, channel))
        task.add_done_callback(lambda _: self._tasks.pop(request_id))

    def cancel(self, request_id: int, channel: CaptionChannel) -> None:
        """Cancel a request if it is running."""
        task = self._tasks.get(request_id)
        if task and not task.done() and not task.cancelling():
            task.cancel()
            channel.send_error("cancelled", "it was cancelled", request_id)

    def _find_frame(self, message: dict[str, Any]) -> KeptFrame:
        if len(self._tasks) >= _MAX_RUNNING:
            raise RequestError(
                "busy",
                f"{_MAX_RUNNING} requests are already running; wait for one, or cancel one",
            )
        try:
            return self._frames.find(message["seq"])
        except FrameNotFound as error:
            raise RequestError("gone", str(error)) from error

    async def _take_requests(self, count: int) -> None:
        try:
            await self._limits.take_requests(self._owner, count)
        except QuotaExceeded as error:
            raise RequestError("limit-reached", f"Not explained: {error}.") from error

    async def _answer(
        self, message: dict[str, Any], kept: KeptFrame, channel: CaptionChannel
    ) -> None:
        try:
            async with (
                self._limits.explanation(self._owner),
                request_errors("cannot-explain", self._timeout_s),
            ):
                response = await self._compute(
                    message, kept, _progress_sender(message["id"], channel)
                )
            if not await channel.respond(response):
                raise RequestError(
                    "busy", "the connection is too slow to send the result; try again"
                )
        except QuotaExceeded as error:
            message_text = f"{error}; try again in a few seconds"
            channel.send_error("busy", message_text, message["id"])
        except RequestError as error:
            channel.send_error(error.code, str(error), message["id"])

    async def _compute(
        self, message: dict[str, Any], kept: KeptFrame, on_progress: ProgressCallback
    ) -> dict[str, Any]:
        service, tokens = self._caption_service, kept.captioned.tokens
        request_id, seq, method = message["id"], message["seq"], message["method"]
        if service.info is None:
            raise EngineUnavailable(service.message)
        image = await kept.image(service.info)
        if message["type"] == "check":
            index = message["index"]
            check = await service.check(image, tokens, method, index, on_progress)
            return messages.checked(request_id, seq, method, index, check)
        target = Target.from_json(message["of"])
        result = await service.explain(
            image, tokens, method, target, on_progress, before_requests=self._take_requests
        )
        return messages.explanation(request_id, seq, method, target, result)


def _progress_sender(request_id: int, channel: CaptionChannel) -> ProgressCallback:
    """Return a callback that sends the progress to the client.

    Twice a second at most, and each rough map, of which there are few. The time left is estimated
    from what this request has advanced: other requests for the frame may have done a part before.
    """
    started_at = sent_at = time.monotonic()
    done_before: float | None = None
    left = TimeLeft()

    def send(progress: Progress) -> None:
        nonlocal sent_at, done_before
        now = time.monotonic()
        if done_before is None:
            done_before = min(progress.done, 0.99)
        if isinstance(progress, RoughMap) or now - sent_at >= _PROGRESS_INTERVAL_S:
            sent_at = now
            advanced = max(0.0, (progress.done - done_before) / (1 - done_before))
            left_s = left.estimate(advanced, now - started_at)
            channel.send(messages.progress(request_id, progress, left_s))

    return send


class AnalysisRequests:
    """Answers `analyze` messages, with progress and a result while the client is connected."""

    def __init__(
        self,
        analyses: Analyses,
        frames: ClientFrames,
        recent_frames: RecentFrames,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[object]],
    ) -> None:
        """Prepare to answer a client.

        Args:
            analyses: Analyses of the server, which go on after the session.
            frames: Frames that the client can request.
            recent_frames: Recent frames of the stream, in which concepts can be discovered.
            spawn: Runs a coroutine that is cancelled when the session ends.
        """
        self._analyses, self._frames, self._recent_frames = analyses, frames, recent_frames
        self._spawn = spawn
        self._requests: dict[int, Analysis] = {}

    def __contains__(self, request_id: int) -> bool:
        """Return whether a request with this id is running."""
        return request_id in self._requests

    def start(self, message: dict[str, Any], channel: CaptionChannel) -> None:
        """Start to answer an `analyze`."""
        request_id = message["id"]
        try:
            analysis = self._start_analysis(message)
        except RequestError as error:
            channel.send_error(error.code, str(error), request_id)
            return
        self._requests[request_id] = analysis
        _send_progress(request_id, analysis, channel)
        task = self._spawn(self._answer(message, analysis, channel))
        task.add_done_callback(lambda _: self._requests.pop(request_id))

    def cancel(self, request_id: int) -> None:
        """Cancel a request if it is running."""
        analysis = self._requests.get(request_id)
        if analysis and analysis.state is AnalysisState.RUNNING:
            self._analyses.cancel(analysis)

    def _start_analysis(self, message: dict[str, Any]) -> Analysis:
        kind = message["kind"]
        try:
            params = read_params(kind, message["params"])
            kept = self._frames.find(message["seq"])
        except FrameNotFound as error:
            raise RequestError("gone", str(error)) from error
        except ValueError as error:
            raise RequestError("bad-message", f"params.{error}") from error
        return self._analyses.start(kind, message["params"], kept, self._images_for(params))

    def _images_for(self, params: AnalysisParams) -> tuple[Any, ...]:
        uses_stream = isinstance(params, ConceptParams) and params.scope == "frames"
        return self._recent_frames.images() if uses_stream else ()

    async def _answer(
        self, message: dict[str, Any], analysis: Analysis, channel: CaptionChannel
    ) -> None:
        request_id = message["id"]
        while not await _ends_within_interval(analysis):
            _send_progress(request_id, analysis, channel)
        if analysis.state is not AnalysisState.DONE:
            channel.send_error(analysis.error_code, analysis.message, request_id)
            return
        result = messages.result(request_id, message["seq"], analysis.path, analysis.to_json())
        if not await channel.respond(result):
            channel.send_error(
                "busy",
                f"the connection is too slow to send the result; get it from {analysis.path}",
                request_id,
            )


def _send_progress(request_id: int, analysis: Analysis, channel: CaptionChannel) -> None:
    channel.send(messages.analysis_progress(request_id, analysis.path, analysis.progress_json()))


async def _ends_within_interval(analysis: Analysis) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(analysis.ended.wait(), _PROGRESS_INTERVAL_S)
    return analysis.ended.is_set()
