"""Why there is no answer to what a client asked for.

The analyses of a server: so many at once, each for so long; what they found is kept a while.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.engine import Analysed, AnalysisKind, Busy, CaptionService, EngineUnavailable
from inference.progress import Step, estimate_left_s
from stream.captioning import KeptFrame
from stream.settings import StreamSettings

_TOKEN_BYTES = 16
_MOST_KEPT = 16
_MOST_KEPT_BYTES = 64 * 2**20

logger = logging.getLogger(__name__)


class Refused(Exception):
    """There is no answer: the message is for people, the code is the protocol's."""

    def __init__(self, code: str, message: str) -> None:
        """Refuse with one of the codes of `error`."""
        super().__init__(message)
        self.code = code


@asynccontextmanager
async def refusing(code: str, most_s: float) -> AsyncIterator[None]:
    """Do what the engine may refuse, for so long and no longer.

    Args:
        code: Of what cannot be done, and of what takes too long.
        most_s: How long it may take.

    Raises:
        Refused: Whatever the reason.
    """
    try:
        async with asyncio.timeout(most_s):
            yield
    except TimeoutError as problem:
        raise Refused(code, f"it took longer than {most_s:g} s") from problem
    except EngineUnavailable as problem:
        raise Refused("captioner-paused", str(problem)) from problem
    except Busy as problem:
        raise Refused("busy", f"{problem}: ask again in a few seconds") from problem
    except ValueError as problem:
        raise Refused(code, str(problem)) from problem


class AnalysisState(StrEnum):
    """How it is with an analysis."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AnalysisGone(LookupError):
    """There is no such analysis, or what it found is not kept any more."""


class Analysis:
    """One analysis, from when it is begun until it is forgotten."""

    state = AnalysisState.RUNNING
    code = ""
    """The protocol's, of why there is no result; empty if there is, or may be yet."""
    message = ""
    """The same for people."""
    summary: tuple[str, ...] = ()

    def __init__(self, kind: AnalysisKind) -> None:
        """Begin it now."""
        self.kind = kind
        self.token = secrets.token_urlsafe(_TOKEN_BYTES)
        """Not to be guessed: who knows it may read what was found, and cancel it."""
        self.files: dict[str, bytes] = {}
        self.ended = asyncio.Event()
        self._step = Step(0.0, "")
        self._begun = time.monotonic()

    @property
    def path(self) -> str:
        """Where the server tells how it is with it."""
        return f"/analyses/{self.token}"

    @property
    def size(self) -> int:
        """Of its files, in bytes."""
        return sum(map(len, self.files.values()))

    def progress(self, step: Step) -> None:
        """Take note of how far it is."""
        self._step = step

    def finish(self, found: Analysed) -> None:
        """Take what was found."""
        self.files, self.summary = found.files, found.summary
        self._end(AnalysisState.DONE, Step(1.0, ""))

    def fail(self, state: AnalysisState, code: str, message: str) -> None:
        """Take note of why nothing will be found."""
        self.code, self.message = code, message
        self._end(state, Step(self._step.done, ""))

    def to_json(self) -> dict[str, Any]:
        """Return `analysis` of the schema."""
        return {
            "kind": self.kind,
            "state": self.state.value,
            **self.far(),
            "message": self.message,
            "summary": list(self.summary),
            "files": {name: f"{self.path}/{name}" for name in self.files},
        }

    def far(self) -> dict[str, Any]:
        """Return how far it is: `done`, `doing` and `left_s` of the schema."""
        done, elapsed_s = self._step.done, time.monotonic() - self._begun
        runs = self.state is AnalysisState.RUNNING
        left_s = estimate_left_s(done, elapsed_s) if runs else None
        return {"done": done, "doing": self._step.doing, "left_s": left_s}

    def _end(self, state: AnalysisState, step: Step) -> None:
        self.state, self._step = state, step
        self.ended.set()


class Analyses:
    """Runs analyses for whoever asks, and keeps what they find.

    They belong to the server: a client whose connection drops finds its analysis by its path.
    """

    def __init__(self, captions: CaptionService, settings: StreamSettings) -> None:
        """Start with none; the captions' service does the work."""
        self._captions, self._settings = captions, settings
        self._known: dict[str, Analysis] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._expiries: dict[str, asyncio.TimerHandle] = {}

    @property
    def running(self) -> int:
        """How many are under way."""
        return len(self._tasks)

    def begin(
        self,
        kind: AnalysisKind,
        params: Mapping[str, Any],
        kept: KeptFrame,
        frames: Sequence[NDArray[np.uint8]],
    ) -> Analysis:
        """Begin an analysis; it goes on by itself.

        Args:
            kind: Of the analysis.
            params: As `CaptionService.analyse` takes them.
            kept: The caption and its picture.
            frames: As `CaptionService.analyse` takes them.

        Raises:
            Refused: If as many are under way as may be.
        """
        if len(self._tasks) >= self._settings.analyses:
            told = f"{len(self._tasks)} analyses are under way on this server, as many as may be"
            raise Refused("busy", f"{told}: wait for one to end")
        analysis = Analysis(kind)
        self._known[analysis.token] = analysis
        self._tasks[analysis.token] = asyncio.create_task(
            self._run(analysis, params, kept, frames), name="analysis"
        )
        self._tasks[analysis.token].add_done_callback(lambda _: self._settle(analysis))
        return analysis

    def find(self, token: str) -> Analysis:
        """Find an analysis by its token.

        Raises:
            AnalysisGone: If there is none.
        """
        if token not in self._known:
            raise AnalysisGone(
                "there is no such analysis, or it is not kept any more: what was found is kept "
                f"for {self._settings.analysis_kept_s / 60:g} minutes at most"
            )
        return self._known[token]

    def cancel(self, analysis: Analysis) -> None:
        """Give up one that is under way; forget what one found that is not."""
        task = self._tasks.get(analysis.token)
        if analysis.state is not AnalysisState.RUNNING:
            self._forget(analysis)
        elif task:
            task.cancel()
            analysis.fail(AnalysisState.CANCELLED, "cancelled", "it was cancelled")

    async def close(self) -> None:
        """Give up all that are under way, and forget all."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for analysis in list(self._known.values()):
            self._forget(analysis)

    async def _run(
        self,
        analysis: Analysis,
        params: Mapping[str, Any],
        kept: KeptFrame,
        frames: Sequence[NDArray[np.uint8]],
    ) -> None:
        try:
            async with refusing("cannot-analyse", self._settings.analysis_s):
                info = self._captions.info
                if info is None:
                    raise EngineUnavailable(self._captions.message)
                picture, tokens = await kept.picture(info.image_size), kept.captioned.tokens
                analysis.finish(
                    await self._captions.analyse(
                        analysis.kind, picture, tokens, params, frames, analysis.progress
                    )
                )
        except Refused as refused:
            analysis.fail(AnalysisState.FAILED, refused.code, str(refused))
        except Exception:
            logger.exception("an analysis failed")
            told = "something went wrong on the server; its log says what"
            analysis.fail(AnalysisState.FAILED, "cannot-analyse", told)

    def _settle(self, analysis: Analysis) -> None:
        """Keep what was found for a while, in place of what was found first if it is too much."""
        del self._tasks[analysis.token]
        if analysis.state is AnalysisState.RUNNING:
            analysis.fail(AnalysisState.CANCELLED, "cancelled", "the server was stopped")
        self._expiries[analysis.token] = asyncio.get_running_loop().call_later(
            self._settings.analysis_kept_s, self._forget, analysis
        )
        for oldest in self._ended():
            if self._is_within_bounds():
                break
            self._forget(oldest)

    def _ended(self) -> list[Analysis]:
        """Those that are not under way, in the order in which they ended."""
        return [self._known[token] for token in self._expiries]

    def _is_within_bounds(self) -> bool:
        ended = self._ended()
        return (
            len(ended) <= _MOST_KEPT
            and sum(analysis.size for analysis in ended) <= _MOST_KEPT_BYTES
        )

    def _forget(self, analysis: Analysis) -> None:
        self._known.pop(analysis.token, None)
        if expiry := self._expiries.pop(analysis.token, None):
            expiry.cancel()
