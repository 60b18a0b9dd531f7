"""Captions and caption events for tests, and a caption service that returns scripted captions."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.captioning.caption import Alternative, Caption, Tag, Timing, Word
from inference.captioning.stream_state import FrameRequest, FrameResult, StreamState
from inference.engine.service import (
    AnalysisKind,
    AnalysisResult,
    EngineInfo,
    EngineState,
    ExplanationResult,
)
from inference.explanations.check import Check
from inference.explanations.map import Map
from inference.explanations.target import MethodCard, Target
from inference.progress import Progress, ProgressCallback
from models.language import content_words
from models.preprocessing import Resizing
from stream.captioning.event import CaptionEvent

BASE_TIME = 1_700_000_000.0
"""Capture time of the first caption event, in seconds since the Unix epoch."""

BASE_BOOTTIME = 1000.0
"""The same on the clock `boottime`."""


def confident_caption(text: str, confidence: float = 0.72, **tags: float) -> Caption:
    """Return a caption above the confidence threshold, with the probability of each tag."""
    words = tuple(
        _word(word, max(0.1, 0.95 - 0.1 * place)) for place, word in enumerate(text.split())
    )
    return Caption(
        text=text,
        confidence=confidence,
        words=words,
        tags=tuple(Tag(name, prob) for name, prob in tags.items()),
        fallback=None,
        guess="",
        kept=False,
        timing_ms=Timing(1.0, 1.0, 0.0),
    )


def _word(text: str, prob: float) -> Word:
    confidence = prob if content_words(text) else None
    return Word(text.lower(), prob, (Alternative("thing", 0.05),), confidence)


def uncalibrated_caption(text: str, *, scores: bool = True) -> Caption:
    """Return a caption of a captioner that is not calibrated; without scores, as of an endpoint."""
    caption = replace(confident_caption(text), confidence=None)
    caption = replace(caption, words=tuple(replace(w, confidence=None) for w in caption.words))
    if scores:
        return caption
    words = tuple(replace(word, prob=None, alternatives=()) for word in caption.words)
    return replace(caption, words=words)


def shorter_fallback(text: str, guess: str, **tags: float) -> Caption:
    """Return a low-confidence caption of which only the beginning is shown."""
    return replace(confident_caption(text, 0.31, **tags), fallback="shorter", guess=guess)


def tags_fallback(guess: str, **tags: float) -> Caption:
    """Return a low-confidence caption of which only the tags are shown."""
    text = ", ".join(tags).capitalize()
    return replace(confident_caption(text, 0.31, **tags), words=(), fallback="tags", guess=guess)


def caption_event(
    caption: Caption | str, at_s: float = 0.0, stream: str = "yard", seq: int = 0
) -> CaptionEvent:
    """Return the event of a caption whose frame was captured `at_s` seconds after `BASE_TIME`."""
    return CaptionEvent(
        stream=stream,
        seq=seq,
        caption=confident_caption(caption) if isinstance(caption, str) else caption,
        captured=BASE_TIME + at_s,
        captured_boottime=BASE_BOOTTIME + at_s,
        pts=round(at_s * 90_000),
        width=640,
        height=480,
        prepare_ms=1.0,
        wait_ms=2.0,
        received_boottime=BASE_BOOTTIME + at_s,
    )


class ScriptedCaptions:
    """A caption service without a model, whose results the test sets."""

    state = EngineState.READY
    message = ""
    info = EngineInfo(
        name="scripted",
        encoder="none",
        resizing=Resizing(32),
        vocabulary_size=0,
        beam_width=3,
        licence="none",
        figures={},
        tags=True,
        hardened=True,
        concepts=True,
        methods=(
            MethodCard("gradcam", "Grad-CAM", "none", "none", "none", ("word", "caption")),
            MethodCard("saliency", "Saliency", "none", "none", "none", ("word", "caption")),
        ),
        live_method="gradcam",
        calibrated=True,
        verified=("gradcam",),
        analyses=("adversarial", "ace"),
        max_batch=4,
    )

    def __init__(self, caption: Caption) -> None:
        """Return `caption` for every frame, until the test sets another."""
        self.caption = caption
        self.heat_map = Map(np.ones((9, 9), np.float32))
        self.took_ms = 1.0
        self.explained_methods: list[str] = []
        """The requested explanation methods, in order."""
        self.report = AnalysisResult(
            {"report.html": b"<!doctype html><title>A report</title>", "report.json": b"{}"},
            ("The caption stands firm.", "No word of it is fragile."),
            1.0,
        )
        self.analyses: list[tuple[AnalysisKind, dict[str, Any], int]] = []
        """The requested analyses: kind, parameters, and number of frames of the stream."""
        self.finish_analyses = asyncio.Event()
        """Cleared by a test to hold analyses at half of their progress."""
        self.finish_analyses.set()

    async def caption_frame(self, request: FrameRequest, beam_width: int | None) -> FrameResult:
        """Return the current caption."""
        empty = np.zeros(1, np.float16)
        return FrameResult(self.caption, StreamState(self.caption, (), empty, empty))

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
        """Return the current heat map."""
        self.explained_methods.append(method)
        return ExplanationResult(self.heat_map, self.took_ms)

    async def check(
        self,
        image: NDArray[np.uint8],
        tokens: tuple[int, ...],
        method: str,
        index: int,
        progress: ProgressCallback | None = None,
    ) -> Check:
        """Return a constant check."""
        return Check(0.2, 0.9, 0.1, (0.7, 0.8, 0.9), 110, 144, 0.0208, 1.0)

    async def analyse(
        self,
        kind: AnalysisKind,
        image: NDArray[np.uint8],
        tokens: tuple[int, ...],
        params: Mapping[str, Any],
        frames: Sequence[NDArray[np.uint8]] = (),
        progress: ProgressCallback | None = None,
    ) -> AnalysisResult:
        """Report half of the progress, and return the report once `finish_analyses` is set."""
        self.analyses.append((kind, dict(params), len(frames)))
        if progress:
            progress(Progress(0.5, "Looking closely"))
        await self.finish_analyses.wait()
        return self.report

    async def wait_ready(self) -> None:
        """Return at once; the service is always ready."""

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Ignore a listener; the state never changes."""
        return lambda: None
