"""What a captioner says of itself once it is loaded.

What a job of the engine returns: an explanation and its cost.

What a long analysis of a picture returns: its report, as files.

What the analyses can be asked for, by their kind. Needs no TensorFlow.

All that a stream knows of the engine.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from inference.adversarial import AdversarialParams
from inference.captioning import Followed, View
from inference.concepts import ConceptParams
from inference.engine.connection import Progress
from inference.explanations import Check, Map, MethodCard, Target

AnalysisKind = Literal["adversarial", "ace"]
"""How easily the captioner is fooled; or in what concepts it thinks."""

Params = AdversarialParams | ConceptParams

_PARAMS: dict[AnalysisKind, type[Params]] = {
    "adversarial": AdversarialParams,
    "ace": ConceptParams,
}


class EngineState(StrEnum):
    """Whether captions can be had."""

    STARTING = "starting"
    """The captioner is being loaded for the first time."""
    READY = "ready"
    PAUSED = "paused"
    """The process ended or hung; another is being started."""


class EngineUnavailable(RuntimeError):
    """No answer now: the process is not ready, or ended before it answered."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the loaded captioner says of itself."""

    name: str
    encoder: str
    image_size: int
    vocabulary_size: int
    beam_width: int
    licence: str
    figures: dict[str, float]
    tags: bool
    """Whether captions come with object tags."""
    hardened: bool
    """Whether there is a decoder that was hardened against attacks."""
    concepts: bool
    """Whether there is a bank of concepts."""
    methods: tuple[MethodCard, ...]
    """How captions can be explained, the one of the maps that come with each caption first."""

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "EngineInfo":
        """Read what the process says when it is ready."""
        return cls(**{**values, "methods": tuple(map(MethodCard.from_json, values["methods"]))})


class Busy(RuntimeError):
    """As many explanations are under way as may be."""


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """A map and what it cost."""

    map: Map
    took_ms: float
    """Of the engine's time; what else was done between is not counted."""


@dataclass(frozen=True, slots=True, eq=False)
class Analysed:
    """A report and what it cost."""

    files: dict[str, bytes]
    """By name: `report.html`, whole in itself, and `report.json`."""
    summary: tuple[str, ...]
    """What was found, in a few sentences for people; plain text."""
    took_ms: float
    """Of the engine's time; what else was done between is not counted."""


def read_params(kind: AnalysisKind, values: Mapping[str, Any]) -> Params:
    """Read what a client asks for; what it leaves out is chosen.

    Raises:
        ValueError: If there is no such choice; the message names it and says what it may be.
    """
    try:
        return _PARAMS[kind].model_validate(values)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(": ".join(filter(None, (where, first["msg"])))) from problem


class CaptionService(Protocol):
    """Captions pictures and explains captions, or says that it cannot now.

    `inference.engine.engine.Engine` is one, and says what its methods take and raise.
    """

    @property
    def state(self) -> EngineState:
        """Whether captions can be had now."""

    @property
    def message(self) -> str:
        """What to tell people while they cannot; empty when they can."""

    @property
    def info(self) -> EngineInfo | None:
        """The captioner, once it is known."""

    async def follow(self, view: View, beam_width: int | None) -> Followed:
        """Caption a stream's next picture; EngineUnavailable when that cannot be."""

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
        """Explain a caption; EngineUnavailable, Busy or ValueError when that cannot be."""

    async def check(
        self,
        picture: NDArray[np.uint8],
        tokens: tuple[int, ...],
        method: str,
        index: int,
        progress: Progress | None = None,
    ) -> Check:
        """Put a word's map to the test; EngineUnavailable, Busy or ValueError if it cannot be."""

    async def analyse(
        self,
        kind: AnalysisKind,
        picture: NDArray[np.uint8],
        tokens: tuple[int, ...],
        params: Mapping[str, Any],
        frames: Sequence[NDArray[np.uint8]] = (),
        progress: Progress | None = None,
    ) -> Analysed:
        """Analyse a caption at length; EngineUnavailable, Busy or ValueError if it cannot be."""

    async def wait_ready(self) -> None:
        """Wait until captions can be had."""

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener at each change of the state; return what ends that."""
