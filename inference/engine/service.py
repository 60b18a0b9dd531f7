"""The caption service that streams use, its states, results and errors.

`CaptionService` is the protocol; `inference.engine.Engine` implements it. Needs no TensorFlow.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from inference.adversarial import AdversarialParams
from inference.captioning import FrameRequest, FrameResult
from inference.concepts import ConceptParams
from inference.explanations import Check, Map, MethodCard, Target
from inference.progress import ProgressCallback
from models.preprocessing import Resizing

AnalysisKind = Literal["adversarial", "ace"]
"""How easily the captioner is fooled, or which concepts it uses."""

AnalysisParams = AdversarialParams | ConceptParams

_PARAMS: dict[AnalysisKind, type[AnalysisParams]] = {
    "adversarial": AdversarialParams,
    "ace": ConceptParams,
}


class EngineState(StrEnum):
    """Whether the engine can caption."""

    STARTING = "starting"
    """The captioner is being loaded for the first time."""
    READY = "ready"
    PAUSED = "paused"
    """The worker exited or hung; another one is being started."""


class EngineUnavailable(RuntimeError):
    """There is no result: the worker is not ready, or it exited before it answered."""


class FrameTooOld(EngineUnavailable):
    """The frame waited for longer than `FrameRequest.max_wait_s`."""


class EngineBusy(RuntimeError):
    """The limit of explanations, checks and analyses at a time is reached."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Properties of the loaded captioner."""

    name: str
    encoder: str | None
    """None if it is unknown, as may be the size of the vocabulary and the beam width."""
    resizing: Resizing
    """How frames are resized before they are sent."""
    vocabulary_size: int | None
    beam_width: int | None
    licence: str
    figures: dict[str, float]
    tags: bool
    """Whether captions come with object tags."""
    hardened: bool
    """Whether there is a decoder that was hardened against attacks."""
    concepts: bool
    """Whether there is a concept bank."""
    methods: tuple[MethodCard, ...]
    """The explanation methods, that of `live_method` first."""
    captioner: str = "shipped"
    """The setting that chooses it, without a revision."""
    revision: str | None = None
    """The commit of the repository that it was fetched from."""
    calibrated: bool = False
    """Whether its confidence was calibrated; if not, its probabilities only rank words."""
    consensus: bool = False
    """Whether it chooses among the captions that its search finds by agreement with how similar
    images are described; see `models.consensus`."""
    verified: tuple[str, ...] = ()
    """Names of the methods that were measured to be more faithful to it than chance, the most
    faithful first."""
    analyses: tuple[AnalysisKind, ...] = ()
    """The analyses that it can do."""
    live_method: str | None = None
    """Name of the method of the maps that come with each caption; None if none come with it."""
    max_batch: int = 1
    """Frames that are captioned together."""
    caption_s: float = 0.0
    """Seconds that one caption took when it was loaded; 0 if it was not measured."""

    @property
    def fingerprint(self) -> str:
        """Identifies the captioner: the state of a stream is of use to the same one only."""
        parts = (self.captioner, self.revision, self.name, self.encoder, self.vocabulary_size)
        return ":".join(map(str, parts))

    def to_json(self) -> dict[str, Any]:
        """Return the properties as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "EngineInfo":
        """Read what `to_json` returned, or the worker's `ready` message."""
        parts = {
            "resizing": Resizing(**values["resizing"]),
            "methods": tuple(map(MethodCard.from_json, values["methods"])),
            "verified": tuple(values["verified"]),
            "analyses": tuple(values["analyses"]),
        }
        return cls(**{**values, **parts})


@dataclass(frozen=True, slots=True, eq=False)
class ExplanationResult:
    """A map and its cost."""

    map: Map
    took_ms: float
    """Of the worker's time, without what it did between the job's slices."""


@dataclass(frozen=True, slots=True, eq=False)
class AnalysisResult:
    """The report of an analysis and its cost."""

    files: dict[str, bytes]
    """By name: `report.html`, self-contained, `report.json`, and the images of concepts, which are
    `concept-NAME.webp`."""
    summary: tuple[str, ...]
    """The findings in a few sentences for people; plain text."""
    took_ms: float
    """Of the worker's time, without what it did between the job's slices."""


class CaptionService(Protocol):
    """Captions frames, explains captions and analyses them.

    See `inference.engine.Engine` for the arguments and errors of the methods.
    """

    @property
    def state(self) -> EngineState:
        """Whether captions are available now."""

    @property
    def message(self) -> str:
        """Why captions are not available, for people; empty when they are."""

    @property
    def info(self) -> EngineInfo | None:
        """The captioner's properties; None until it was loaded once."""

    async def caption_frame(self, request: FrameRequest, beam_width: int | None) -> FrameResult:
        """Caption the next frame of a stream; raises EngineUnavailable."""

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
        """Explain a caption; raises EngineUnavailable, EngineBusy or ValueError."""

    async def check(
        self,
        image: NDArray[np.uint8],
        tokens: tuple[int, ...],
        method: str,
        index: int,
        progress: ProgressCallback | None = None,
    ) -> Check:
        """Check a word's map; raises EngineUnavailable, EngineBusy or ValueError."""

    async def analyse(
        self,
        kind: AnalysisKind,
        image: NDArray[np.uint8],
        tokens: tuple[int, ...],
        params: Mapping[str, Any],
        frames: Sequence[NDArray[np.uint8]] = (),
        progress: ProgressCallback | None = None,
    ) -> AnalysisResult:
        """Analyse a caption in depth; raises EngineUnavailable, EngineBusy or ValueError."""

    async def wait_ready(self) -> None:
        """Wait until captions are available."""

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a listener at each change of the state; return a function that unsubscribes it."""


def read_params(kind: AnalysisKind, values: Mapping[str, Any]) -> AnalysisParams:
    """Validate the parameters of an analysis; those left out take their defaults.

    Raises:
        ValueError: If a parameter is unknown or invalid; the message names the first such
            parameter and the values that it takes.
    """
    try:
        return _PARAMS[kind].model_validate(values)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(": ".join(filter(None, (where, first["msg"])))) from problem
