"""All that a stream knows of the engine."""

from collections.abc import Callable
from typing import Protocol

from inference.engine import EngineInfo, EngineState
from inference.steadiness import Followed, View


class CaptionService(Protocol):
    """Captions pictures, or says that it cannot now; `inference.engine.Engine` is one."""

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

    async def wait_ready(self) -> None:
        """Wait until captions can be had."""

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener at each change of the state; return what ends that."""
