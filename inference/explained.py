"""What a job of the engine returns: an explanation and its cost."""

from dataclasses import dataclass

from inference.explanations.map import Map


class Busy(RuntimeError):
    """As many explanations are under way as may be."""


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """A map and what it cost."""

    map: Map
    took_ms: float
    """Of the engine's time; what else was done between is not counted."""
