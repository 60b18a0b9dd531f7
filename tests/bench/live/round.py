"""What one round of the live benchmark measured."""

from dataclasses import dataclass
from typing import Any

from tests.bench.figures import Summary


@dataclass(frozen=True, slots=True)
class Round:
    """One round against one server."""

    server: str
    load_average: list[float]
    """Before the round."""
    delays_ms: list[float]
    """Of each picture that was sent in the measured time and came back."""
    returned_per_s: float
    sent: int
    lost: list[int]
    """Numbers that never came back."""
    skipped: int
    """Pictures that the client was too busy to send."""
    unreadable: int
    """Pictures that came with a damaged number."""
    ages_ms: list[float]
    """Of each caption that came in the measured time, since its picture was sent."""
    ages_since_capture_ms: list[float]
    """Of the same, since the server had the picture."""
    capture_ms: list[float]
    """From the sending of each such picture until the server had it."""
    caption_timing_ms: dict[str, list[float]]
    """What the server says that each caption took, by part, and in `total`."""
    captions_per_s: float
    captions_asked_per_s: float
    callbacks: dict[str, Any]
    """Of the server's event loop, by phase: opening, streaming, closing."""
    cpu_s: dict[str, float]
    """Used in the measured time by each process."""
    engine_restarts: int

    def to_json(self) -> dict[str, Any]:
        """Return the round as JSON values, with summaries in place of samples."""
        values: dict[str, Any] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, dict) and name.endswith("_ms"):
                values[name] = {part: _summary(samples) for part, samples in value.items()}
            elif name.endswith("_ms"):
                values[name] = _summary(value) if value else None
            else:
                values[name] = value
        return values


def _summary(samples: list[float]) -> dict[str, float]:
    summary = Summary.of(samples)
    return {name: getattr(summary, name) for name in summary.__slots__}
