"""Captions of every form, and a caption service that says what a test tells it to."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.captioning.caption import Alternative, Caption, Tag, Timing, Word
from inference.captioning.steadiness import Anchor, Followed, View
from inference.engine.connection import Progress
from inference.engine.service import Analysed, AnalysisKind, EngineInfo, EngineState, Explained
from inference.explanations.map import Check, Map
from inference.explanations.target import MethodCard, Target
from inference.progress import Step


def sure(text: str, confidence: float = 0.72, **tags: float) -> Caption:
    """A caption that is sure of itself, and of the objects named."""
    words = tuple(
        Word(word.lower(), max(0.1, 0.95 - 0.1 * place), (Alternative("thing", 0.05),))
        for place, word in enumerate(text.split())
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


def shorter(text: str, guess: str, **tags: float) -> Caption:
    """The sure beginning of a caption that is too doubtful."""
    return replace(sure(text, 0.31, **tags), fallback="shorter", guess=guess)


def objects_only(guess: str, **tags: float) -> Caption:
    """The objects that are left of a caption that is too doubtful."""
    text = ", ".join(tags).capitalize()
    return replace(sure(text, 0.31, **tags), words=(), fallback="tags", guess=guess)


class ScriptedCaptions:
    """A caption service with no captioner behind it, to see how all that may be said is shown."""

    state = EngineState.READY
    message = ""
    info = EngineInfo(
        name="scripted",
        encoder="none",
        image_size=32,
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
    )

    def __init__(self, says: Caption) -> None:
        self.says = says
        self.heat = Map(np.ones((9, 9), np.float32))
        self.took_ms = 1.0
        self.explained: list[str] = []
        """The methods that were asked for, in order."""
        self.report = Analysed(
            {"report.html": b"<!doctype html><title>A report</title>", "report.json": b"{}"},
            ("The caption stands firm.", "No word of it is fragile."),
            1.0,
        )
        self.analysed: list[tuple[AnalysisKind, dict[str, Any], int]] = []
        """The analyses that were asked for: kind, params, and number of the stream's pictures."""
        self.may_finish = asyncio.Event()
        """Set unless a test holds analyses back, half done."""
        self.may_finish.set()

    async def follow(self, view: View, beam_width: int | None) -> Followed:
        """Say it again."""
        nothing = np.zeros(1, np.float16)
        return Followed(self.says, Anchor(self.says, (), nothing, nothing))

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
        """Point at the same places again."""
        self.explained.append(method)
        return Explained(self.heat, self.took_ms)

    async def check(
        self,
        picture: NDArray[np.uint8],
        tokens: tuple[int, ...],
        method: str,
        index: int,
        progress: Progress | None = None,
    ) -> Check:
        """Find the same again."""
        return Check(0.2, 0.9, 0.1, (0.7, 0.8, 0.9))

    async def analyse(
        self,
        kind: AnalysisKind,
        picture: NDArray[np.uint8],
        tokens: tuple[int, ...],
        params: Mapping[str, Any],
        frames: Sequence[NDArray[np.uint8]] = (),
        progress: Progress | None = None,
    ) -> Analysed:
        """Report the same again, once it is told to go on."""
        self.analysed.append((kind, dict(params), len(frames)))
        if progress:
            progress(Step(0.5, "Looking closely"))
        await self.may_finish.wait()
        return self.report

    async def wait_ready(self) -> None:
        """It always is."""

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Nothing ever changes."""
        return lambda: None
