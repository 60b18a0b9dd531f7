"""Parameters of a benchmark."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and for how long.

    Attributes:
        captioner: Folder of the captioner.
        rounds: Number of rounds; within one, the alternatives are measured in turn.
        seconds: Duration of a round.
        warm_up_s: Seconds of video before a live round.
        original_captions: Captions to time by the project's original method, about 20 s each.
    """

    captioner: Path
    rounds: int
    seconds: float
    warm_up_s: float
    original_captions: int = 0
