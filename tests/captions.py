"""Captions of every form, and a caption service that says what a test tells it to."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from inference.caption import Alternative, Caption, Tag, Timing, Word
from inference.engine import EngineInfo, EngineState
from inference.steadiness import Anchor, Followed, View


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
        timing_ms=Timing(1.0, 1.0),
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
    )

    def __init__(self, says: Caption) -> None:
        self.says = says

    async def follow(self, view: View, beam_width: int | None) -> Followed:
        """Say it again."""
        nothing = np.zeros(1, np.float16)
        return Followed(self.says, Anchor(self.says, (), nothing, nothing))

    async def wait_ready(self) -> None:
        """It always is."""

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Nothing ever changes."""
        return lambda: None
