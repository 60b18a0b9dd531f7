"""Analyses of captioned frames: run in the background, with limits on number, time and memory.

They belong to the server, not to a session: a client that reconnects finds its analysis by path.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.engine import (
    AnalysisKind,
    AnalysisResult,
    CaptionService,
    EngineBusy,
    EngineUnavailable,
)
from inference.progress import Progress, TimeLeft
from stream.captioning import KeptFrame
from stream.quota import QuotaExceeded
from stream.settings import StreamSettings

_TOKEN_BYTES = 16
_MAX_KEPT = 16
_MAX_KEPT_BYTES = 64 * 2**20

logger = logging.getLogger(__name__)


class RequestError(Exception):
    """A client's request that failed; the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        """Fail with one of the codes of `error` in `schema.json`."""
        super().__init__(message)
        self.code = code


@asynccontextmanager
async def request_errors(code: str, timeout_s: float) -> AsyncIterator[None]:
    """Limit the time of a request to the engine, and turn the engine's errors into `RequestError`.

    Args:
        code: Code of the error for a timeout or an invalid request.
        timeout_s: Seconds that the request may take.

    Raises:
        RequestError: If the request fails for a known reason.
    """
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError as error:
        raise RequestError(code, f"it took longer than {timeout_s:g} s") from error
    except EngineUnavailable as error:
        raise RequestError("captioner-paused", str(error)) from error
    except EngineBusy as error:
        raise RequestError("busy", f"{error}; try again in a few seconds") from error
    except ValueError as error:
        raise RequestError(code, str(error)) from error


class AnalysisState(StrEnum):
    """State of an analysis."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AnalysisNotFound(LookupError):
    """No analysis has this token, or its result is no longer kept."""


class AnalysisFileNotFound(LookupError):
    """An analysis has no such file."""


class Analysis:
    """One analysis, from its start until its result is deleted."""

    state = AnalysisState.RUNNING
    error_code = ""
    """Code of the error if it failed or was cancelled, as in `RequestError`."""
    message = ""
    """Why it failed or was cancelled, for people."""
    summary: tuple[str, ...] = ()

    def __init__(self, kind: AnalysisKind) -> None:
        """Start the clock."""
        self.kind = kind
        self.token = secrets.token_urlsafe(_TOKEN_BYTES)
        """Unguessable id; a client that has it may read the result and cancel the analysis."""
        self.files: dict[str, bytes] = {}
        self.ended = asyncio.Event()
        self._progress = Progress(0.0, "")
        self._left = TimeLeft()
        self._started_at = time.monotonic()

    @property
    def path(self) -> str:
        """Path of its state on the server."""
        return f"/analyses/{self.token}"

    @property
    def size(self) -> int:
        """Size of its files, in bytes."""
        return sum(map(len, self.files.values()))

    def update(self, progress: Progress) -> None:
        """Set its progress."""
        self._progress = progress

    def finish(self, result: AnalysisResult) -> None:
        """End it with a result."""
        self.files, self.summary = result.files, result.summary
        self._end(AnalysisState.DONE, Progress(1.0, ""))

    def fail(self, state: AnalysisState, code: str, message: str) -> None:
        """End it without a result, as failed or cancelled."""
        self.error_code, self.message = code, message
        self._end(state, Progress(self._progress.done, ""))

    def to_json(self) -> dict[str, Any]:
        """Return `analysis` of `schema.json`."""
        return {
            "kind": self.kind,
            "state": self.state.value,
            **self.progress_json(),
            "message": self.message,
            "summary": list(self.summary),
            "files": {name: f"{self.path}/{name}" for name in self.files},
        }

    def progress_json(self) -> dict[str, Any]:
        """Return `done`, `doing` and `left_s` of `analysis` in `schema.json`."""
        done, elapsed_s = self._progress.done, time.monotonic() - self._started_at
        is_running = self.state is AnalysisState.RUNNING
        left_s = self._left.estimate(done, elapsed_s) if is_running else None
        return {"done": done, "doing": self._progress.doing, "left_s": left_s}

    def _end(self, state: AnalysisState, progress: Progress) -> None:
        self.state, self._progress = state, progress
        self.ended.set()


class Analyses:
    """Runs the analyses of a server and keeps their results for a while."""

    def __init__(
        self,
        caption_service: CaptionService,
        settings: StreamSettings,
        use: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> None:
        """Start without analyses.

        Args:
            caption_service: Does the work.
            settings: Limits of analyses.
            use: Counts an analysis while its context lasts, over all processes of the server;
                raises QuotaExceeded if too many are running.
        """
        self._caption_service, self._settings, self._use = caption_service, settings, use
        self._analyses: dict[str, Analysis] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._expiries: dict[str, asyncio.TimerHandle] = {}
        """Timers that delete ended analyses, in the order in which they ended."""

    @property
    def running(self) -> int:
        """Number of analyses that are running."""
        return len(self._tasks)

    def start(
        self,
        kind: AnalysisKind,
        params: Mapping[str, Any],
        kept: KeptFrame,
        frames: Sequence[NDArray[np.uint8]],
    ) -> Analysis:
        """Start an analysis in the background.

        Args:
            kind: Kind of analysis.
            params: As for `CaptionService.analyse`.
            kept: The captioned frame to analyse.
            frames: As for `CaptionService.analyse`.

        Raises:
            RequestError: If the maximum number of analyses is running.
        """
        if len(self._tasks) >= self._settings.analyses:
            raise RequestError(
                "busy",
                f"{len(self._tasks)} analyses are already running on this server; wait for one to "
                "finish",
            )
        analysis = Analysis(kind)
        self._analyses[analysis.token] = analysis
        self._tasks[analysis.token] = asyncio.create_task(
            self._run(analysis, params, kept, frames), name="analysis"
        )
        self._tasks[analysis.token].add_done_callback(lambda _: self._on_ended(analysis))
        return analysis

    def find(self, token: str) -> Analysis:
        """Return the analysis with this token.

        Raises:
            AnalysisNotFound: If there is none.
        """
        if token not in self._analyses:
            raise AnalysisNotFound(
                "this analysis does not exist or is no longer kept; results are kept for "
                f"{self._settings.analysis_kept_s / 60:g} minutes at most"
            )
        return self._analyses[token]

    def cancel(self, analysis: Analysis) -> None:
        """Cancel an analysis that is running; delete the result of one that has ended."""
        task = self._tasks.get(analysis.token)
        if analysis.state is not AnalysisState.RUNNING:
            self._delete(analysis)
        elif task:
            task.cancel()
            analysis.fail(AnalysisState.CANCELLED, "cancelled", "it was cancelled")

    async def describe(self, token: str) -> dict[str, Any]:
        """Return `analysis` of `schema.json`; raises AnalysisNotFound."""
        return self.find(token).to_json()

    async def discard(self, token: str) -> None:
        """Cancel the analysis with this token, or delete its result; raises AnalysisNotFound."""
        self.cancel(self.find(token))

    async def read_file(self, token: str, name: str) -> bytes:
        """Return a file of an analysis.

        Raises:
            AnalysisNotFound: If there is no such analysis.
            AnalysisFileNotFound: If it has no such file, or not yet.
        """
        analysis = self.find(token)
        if name not in analysis.files:
            state = analysis.state.value
            raise AnalysisFileNotFound(f"{name} does not exist; the analysis is {state}")
        return analysis.files[name]

    async def close(self) -> None:
        """Cancel all analyses that are running, and delete all results."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for analysis in list(self._analyses.values()):
            self._delete(analysis)

    async def _run(
        self,
        analysis: Analysis,
        params: Mapping[str, Any],
        kept: KeptFrame,
        frames: Sequence[NDArray[np.uint8]],
    ) -> None:
        try:
            async with self._use(), request_errors("cannot-analyse", self._settings.analysis_s):
                info = self._caption_service.info
                if info is None:
                    raise EngineUnavailable(self._caption_service.message)
                # Not the captioner's square: the report shows the frame as it is.
                image, tokens = await kept.pixels(), kept.captioned.tokens
                analysis.finish(
                    await self._caption_service.analyse(
                        analysis.kind, image, tokens, params, frames, analysis.update
                    )
                )
        except QuotaExceeded as error:
            analysis.fail(AnalysisState.FAILED, "busy", str(error))
        except RequestError as error:
            analysis.fail(AnalysisState.FAILED, error.code, str(error))
        except Exception:
            logger.exception("an analysis failed")
            message = "something went wrong on the server; see the server's log"
            analysis.fail(AnalysisState.FAILED, "cannot-analyse", message)

    def _on_ended(self, analysis: Analysis) -> None:
        """Keep a result for a while; delete the oldest results if there are too many."""
        del self._tasks[analysis.token]
        if analysis.state is AnalysisState.RUNNING:
            analysis.fail(AnalysisState.CANCELLED, "cancelled", "the server was stopped")
        self._expiries[analysis.token] = asyncio.get_running_loop().call_later(
            self._settings.analysis_kept_s, self._delete, analysis
        )
        ended = [self._analyses[token] for token in self._expiries]
        while len(ended) > _MAX_KEPT or sum(each.size for each in ended) > _MAX_KEPT_BYTES:
            self._delete(ended.pop(0))

    def _delete(self, analysis: Analysis) -> None:
        self._analyses.pop(analysis.token, None)
        if expiry := self._expiries.pop(analysis.token, None):
            expiry.cancel()
