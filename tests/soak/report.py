"""What a soak found, as a table for people and as JSON values."""

from dataclasses import asdict, dataclass, field
from typing import Any

from tests.soak.audience import Visits
from tests.soak.kills import BACK_S, Recoveries
from tests.soak.sampling import TRIVIAL, Samples
from tests.soak.trend import Trend

_WARM_UP = 1 / 6
"""Of the time: caches fill, and libraries make their threads."""


@dataclass(slots=True)
class Report:
    """What was measured, and whether it is as it is to be."""

    trends: dict[str, Trend] = field(default_factory=dict)
    visits: Visits | None = None
    recoveries: Recoveries | None = None
    samples: dict[str, list[float]] = field(default_factory=dict)
    """All of each quantity, those of the warm-up too."""
    log_errors: list[str] = field(default_factory=list)
    """Lines of the server's log that tell of a failure."""

    def take_samples(self, samples: Samples) -> None:
        """Lay trends through samples, but for those of the warm-up."""
        self.samples = samples.values
        for name, values in samples.values.items():
            seconds = samples.seconds[name]
            begun = seconds[0] + _WARM_UP * (seconds[-1] - seconds[0])
            later = [(at, value) for at, value in zip(seconds, values, strict=True) if at >= begun]
            if len(later) >= 3:
                self.trends[name] = Trend.of(*zip(*later, strict=True))

    @property
    def failures(self) -> list[str]:
        """What is not as it is to be, in words."""
        growing = [
            f"{name} grows by {trend.slope:.2f} an hour ({trend.low:.2f} to {trend.high:.2f})"
            for name, trend in self.trends.items()
            if not trend.is_flat(TRIVIAL[name])
        ]
        late = self.recoveries.late if self.recoveries else 0
        slow = [f"captions took more than {BACK_S:g} s to be back {late} times"] if late else []
        return [*growing, *slow, *self.log_errors]

    def lines(self) -> list[str]:
        """The report for people."""
        lines = []
        if self.trends:
            lines.append(
                f"{'':24}{'mean':>10}{'slope an hour':>16}{'95 % interval':>24}  flat up to"
            )
        for name, trend in self.trends.items():
            interval = f"{trend.low:.2f} to {trend.high:.2f}"
            flat = "flat" if trend.is_flat(TRIVIAL[name]) else "GROWS"
            lines.append(
                f"{name:24}{trend.mean:10.1f}{trend.slope:16.2f}{interval:>24}  "
                f"{TRIVIAL[name]:g}: {flat}"
            )
        if self.visits:
            counts = ", ".join(f"{name} {count}" for name, count in asdict(self.visits).items())
            lines.append(f"visits: {counts}")
        for part, took_s in (self.recoveries.took_s if self.recoveries else {}).items():
            ordered = sorted(took_s)
            late = sum(took > BACK_S for took in took_s)
            lines.append(
                f"{part} killed {len(took_s)} times: captions back after "
                f"{ordered[len(ordered) // 2]:.2f} s (median), {ordered[-1]:.2f} s at most; "
                f"{late} times after more than {BACK_S:g} s"
            )
        return lines + [f"FAILED: {failure}" for failure in self.failures]

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "trends": {
                name: {**asdict(trend), "trivial": TRIVIAL[name]}
                for name, trend in self.trends.items()
            },
            "samples": {
                name: [round(value, 1) for value in values] for name, values in self.samples.items()
            },
            "visits": asdict(self.visits) if self.visits else None,
            "recoveries_s": self.recoveries.took_s if self.recoveries else None,
            "failures": self.failures,
        }
