"""Whether pictures come, since when, and why not."""

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class SignalState(StrEnum):
    """Whether pictures come."""

    CONNECTING = "connecting"
    """Not yet: the source is being opened, and nothing has failed so far."""
    LIVE = "live"
    """They come."""
    LOST = "lost"
    """They should come and do not; it is tried again and again."""
    ENDED = "ended"
    """The source is over, and no more will come."""
    IDLE = "idle"
    """Nobody watches, so none are asked for."""


@dataclass(frozen=True, slots=True)
class Signal:
    """The state of a stream's pictures."""

    state: SignalState
    since: float = field(default_factory=time.time)
    """When it began, in seconds since the Unix epoch; of a lost signal, when the last picture
    came."""
    message: str = ""
    """Why, for people; holds no credentials."""

    def to_json(self) -> dict[str, Any]:
        """Give it as the values of JSON."""
        return {"state": self.state.value, "since": round(self.since, 3), "message": self.message}
