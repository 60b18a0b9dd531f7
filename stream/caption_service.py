"""All that a stream knows of the engine."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inference.analysed import Analysed, AnalysisKind
from inference.conversation import Progress
from inference.engine import EngineState
from inference.engine_info import EngineInfo
from inference.explained import Explained
from inference.explanations.check import Check
from inference.explanations.target import Target
from inference.steadiness import Followed, View


class CaptionService(Protocol):
    """Captions pictures and explains captions, or says that it cannot now.

    `inference.engine.Engine` is one, and says what its methods take and raise.
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
