"""Report of an endurance test: a table, JSON values, and failures."""

from dataclasses import asdict, dataclass, field
from typing import Any

from tests.soak.clients import ClientCounts
from tests.soak.fault_injection import MAX_RECOVERY_S, Recoveries
from tests.soak.sampling import MAX_GROWTH, Samples
from tests.soak.trend import Trend

_WARM_UP = 1 / 6
"""Share of the time that trends exclude: caches fill, and libraries start threads."""


@dataclass(slots=True)
class Report:
    """Results of an endurance test.

    Attributes:
        trends: Trend of each quantity.
        clients: Numbers of clients.
        recoveries: Recoveries from faults.
        samples: All samples of each quantity, including the warm-up.
        log_errors: Lines of the server's log that report an error.
    """

    trends: dict[str, Trend] = field(default_factory=dict)
    clients: ClientCounts | None = None
    recoveries: Recoveries | None = None
    samples: dict[str, list[float]] = field(default_factory=dict)
    log_errors: list[str] = field(default_factory=list)

    def add_samples(self, samples: Samples) -> None:
        """Compute the trends of samples after the warm-up."""
        self.samples = samples.values
        for name, values in samples.values.items():
            seconds = samples.seconds[name]
            start = seconds[0] + _WARM_UP * (seconds[-1] - seconds[0])
            later = [(at, value) for at, value in zip(seconds, values, strict=True) if at >= start]
            if len(later) >= 3:
                self.trends[name] = Trend.of(*zip(*later, strict=True))

    @property
    def failures(self) -> list[str]:
        """The targets that were missed, as sentences."""
        growing = [
            f"{name} grows by {trend.slope:.2f} per hour ({trend.low:.2f} to {trend.high:.2f})"
            for name, trend in self.trends.items()
            if not trend.is_flat(MAX_GROWTH[name])
        ]
        late = self.recoveries.late if self.recoveries else 0
        slow = [f"captions resumed after more than {MAX_RECOVERY_S:g} s: {late} times"]
        return [*growing, *(slow if late else []), *self.log_errors]

    def lines(self) -> list[str]:
        """Format the report as lines of plain text."""
        lines = []
        if self.trends:
            lines.append(
                f"{'':24}{'mean':>10}{'slope per hour':>16}{'95 % interval':>24}  max. growth"
            )
        for name, trend in self.trends.items():
            interval = f"{trend.low:.2f} to {trend.high:.2f}"
            verdict = "flat" if trend.is_flat(MAX_GROWTH[name]) else "GROWS"
            lines.append(
                f"{name:24}{trend.mean:10.1f}{trend.slope:16.2f}{interval:>24}  "
                f"{MAX_GROWTH[name]:g}: {verdict}"
            )
        if self.clients:
            counts = ", ".join(f"{name} {count}" for name, count in asdict(self.clients).items())
            lines.append(f"clients: {counts}")
        for part, times_s in (self.recoveries.times_s if self.recoveries else {}).items():
            ordered = sorted(times_s)
            late = sum(seconds > MAX_RECOVERY_S for seconds in times_s)
            lines.append(
                f"{part}: {len(times_s)} faults, captions resumed after "
                f"{ordered[len(ordered) // 2]:.2f} s (median), {ordered[-1]:.2f} s (maximum); "
                f"{late} times after more than {MAX_RECOVERY_S:g} s"
            )
        return lines + [f"FAILED: {failure}" for failure in self.failures]

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "trends": {
                name: {**asdict(trend), "max_growth": MAX_GROWTH[name]}
                for name, trend in self.trends.items()
            },
            "samples": {
                name: [round(value, 1) for value in values] for name, values in self.samples.items()
            },
            "clients": asdict(self.clients) if self.clients else None,
            "recoveries_s": self.recoveries.times_s if self.recoveries else None,
            "failures": self.failures,
        }
