"""Measurements with a given number of sessions."""

from dataclasses import asdict, dataclass
from typing import Any

from tests.bench.capacity.load import INTERVAL_S, RATE
from tests.bench.figures import Summary

MIN_FRAME_RATE = 0.95
"""Share of the frame rate that must be returned, on average over the sessions."""
MIN_CAPTION_RATE = 0.9
"""Share of the configured captions that must arrive: of about ten in a measurement, one may fall
outside."""
MAX_AGE_S = 2.0
"""Maximum p95 of the age of captions."""


@dataclass(frozen=True, slots=True)
class Level:
    """A number of simultaneous sessions.

    Attributes:
        sessions: Number of sessions.
        returned: Share of the frame rate that was returned, on average over the sessions.
        returned_min: The same for the worst session.
        captions_per_s: Captions per second and session.
        age: Age of captions in seconds; None if there were none.
        cpu: CPU seconds per second of `front` (the server's process), `server` (with its media
            processes), `engine` and `load`.
        skipped: Frames that the load generator was too late to send.
        lost: Packets lost on the way to the load generator.
        retransmission_requests: Packets that the server did not receive.
        load_average: Load average before the measurement.
        problem: Why a session could not be opened.
    """

    sessions: int
    returned: float
    returned_min: float
    captions_per_s: float
    age: Summary | None
    cpu: dict[str, float]
    skipped: int
    lost: int
    retransmission_requests: int
    load_average: list[float]
    problem: str | None = None

    @classmethod
    def from_counts(
        cls,
        sessions: int,
        seconds: float,
        counts: list[dict[str, Any]],
        cpu: dict[str, float],
        load_average: list[float],
    ) -> "Level":
        """Summarize the counts of each session, fields of `CountingPeer`'s `Counts`."""
        rates = [session["returned"] / seconds / RATE for session in counts]
        ages = [age for session in counts for age in session["ages_s"]]
        return cls(
            sessions=sessions,
            returned=sum(rates) / sessions if sessions else 1.0,
            returned_min=min(rates, default=1.0),
            captions_per_s=len(ages) / seconds / sessions if sessions else 0.0,
            age=Summary.of(ages) if ages else None,
            cpu=cpu,
            skipped=sum(session["skipped"] for session in counts),
            lost=sum(session["lost"] for session in counts),
            retransmission_requests=sum(session["retransmission_requests"] for session in counts),
            load_average=load_average,
        )

    @classmethod
    def refused(cls, sessions: int, problem: str) -> "Level":
        """Return the level at which the last session could not be opened."""
        return cls(sessions, 0.0, 0.0, 0.0, None, {}, 0, 0, 0, [], problem)

    @property
    def served_cpu(self) -> float:
        """CPU seconds per second of the server and its engine."""
        return self.cpu["server"] + self.cpu["engine"]

    def to_json(self) -> dict[str, Any]:
        """Return the level as JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        if self.problem:
            return f"{self.sessions} sessions: {self.problem}"
        ages = f"{self.age.median:.2f} s, p95 {self.age.p95:.2f} s" if self.age else "none"
        cpu = ", ".join(f"{name} {used:.2f}" for name, used in self.cpu.items())
        return (
            f"{self.sessions} sessions: {self.returned:.1%} of frames returned, "
            f"worst session {self.returned_min:.1%}; "
            f"{self.captions_per_s:.2f} captions/s each, age {ages}; cores: {cpu}"
        )


def is_sustained(level: Level) -> bool:
    """Return whether the server sustains the level."""
    if level.sessions == 0:
        return True
    fresh = level.age is not None and level.age.p95 <= MAX_AGE_S
    frequent = level.captions_per_s * INTERVAL_S >= MIN_CAPTION_RATE
    return fresh and frequent and level.returned >= MIN_FRAME_RATE
