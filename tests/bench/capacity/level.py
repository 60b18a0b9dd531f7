"""What a number of sessions did to the server."""

from dataclasses import asdict, dataclass
from typing import Any

from tests.bench.capacity_load import INTERVAL_S, RATE
from tests.bench.figures import Summary

LEAST_RATE = 0.95
"""Of the frame rate, what has to come back on average."""
LEAST_CAPTIONS = 0.9
"""Of the captions that are asked for, what has to come: one of the ten that are due while a number
of sessions is measured may just fall outside."""
MOST_AGE_S = 2.0
"""Of captions, at p95."""


@dataclass(frozen=True, slots=True)
class Level:
    """So many sessions at once."""

    sessions: int
    returned: float
    """Part of the frame rate that came back, on average over the sessions."""
    returned_least: float
    """The same of the worst of them."""
    captions_per_s: float
    """Of a session."""
    age: Summary | None
    """Of captions, in seconds; None if there were none."""
    cpu: dict[str, float]
    """CPU seconds per second of `server`, `engine` and `load`."""
    skipped: int
    """Pictures that the load generator was too late to send."""
    lost: int
    """Packets that were lost on the way to the load generator."""
    asked_again: int
    """Packets that the server missed."""
    load_average: list[float]
    problem: str | None = None
    """Why a session could not be opened."""

    @classmethod
    def of(
        cls,
        sessions: int,
        seconds: float,
        counted: list[dict[str, Any]],
        cpu: dict[str, float],
        load_average: list[float],
    ) -> "Level":
        """Sum up what was counted in each session in some seconds."""
        rates = [session["returned"] / seconds / RATE for session in counted]
        ages = [age for session in counted for age in session["ages_s"]]
        return cls(
            sessions=sessions,
            returned=sum(rates) / sessions if sessions else 1.0,
            returned_least=min(rates, default=1.0),
            captions_per_s=len(ages) / seconds / sessions if sessions else 0.0,
            age=Summary.of(ages) if ages else None,
            cpu=cpu,
            skipped=sum(session["skipped"] for session in counted),
            lost=sum(session["lost"] for session in counted),
            asked_again=sum(session["asked_again"] for session in counted),
            load_average=load_average,
        )

    @classmethod
    def refused(cls, sessions: int, problem: str) -> "Level":
        """Note that the last of so many sessions could not be opened."""
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
        ages = f"{self.age.median:.2f} s, p95 {self.age.p95:.2f}" if self.age else "none"
        cpu = ", ".join(f"{name} {used:.2f}" for name, used in self.cpu.items())
        return (
            f"{self.sessions} sessions: {self.returned:.1%} of the frames back, "
            f"worst {self.returned_least:.1%}; "
            f"{self.captions_per_s:.2f} captions a second each, age {ages}; cores: {cpu}"
        )


def carried(level: Level) -> bool:
    """Whether the server carries so many sessions."""
    if level.sessions == 0:
        return True
    in_time = level.age is not None and level.age.p95 <= MOST_AGE_S
    often = level.captions_per_s * INTERVAL_S >= LEAST_CAPTIONS
    return in_time and often and level.returned >= LEAST_RATE
