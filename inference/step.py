"""How far work is that takes long, as whoever waits for it is told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """A point on the way."""

    done: float
    """Share of the work, in 0..1; grows with the time that the work takes, as near as is known."""
    doing: str
    """What is done next, for people, in a few words: "Searching for the smallest change"."""
