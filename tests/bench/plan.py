"""What a benchmark is to measure, and for how long."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asks for."""

    captioner: Path
    """Folder of the captioner."""
    rounds: int
    """Of each thing that is compared; they alternate."""
    seconds: float
    """What a round measures."""
    warm_up_s: float
    """Before that, with the video running."""
    origin_captions: int = 0
    """How many captions to time in the way of the origin, at some 20 seconds each."""
