"""Measurements of one round of the live benchmark."""

from dataclasses import dataclass
from typing import Any

from tests.bench.figures import Summary


@dataclass(frozen=True, slots=True)
class Round:
    """One round with one server.

    Attributes:
        server: Name of the server.
        load_average: Load average before the round.
        delays_ms: Round-trip delay of each frame that was sent in the round and returned.
        returned_per_s: Returned frames per second.
        sent: Frames that were sent.
        lost: Numbers of frames that were not returned.
        skipped: Frames that the client was too late to send.
        unreadable: Returned frames with a damaged number.
        ages_ms: Age of each received caption since its frame was sent.
        ages_since_capture_ms: The same since the server captured the frame.
        capture_ms: Time from the sending of each such frame to its capture.
        caption_timing_ms: Reported time of each caption, by part and in `total`.
        captions_per_s: Received captions per second.
        configured_captions_per_s: Configured captions per second.
        callbacks: Times of the server's callbacks by phase: opening, streaming, closing.
        cpu_s: CPU seconds of each process during the round.
        engine_restarts: Restarts of the engine.
    """

    server: str
    load_average: list[float]
    delays_ms: list[float]
    returned_per_s: float
    sent: int
    lost: list[int]
    skipped: int
    unreadable: int
    ages_ms: list[float]
    ages_since_capture_ms: list[float]
    capture_ms: list[float]
    caption_timing_ms: dict[str, list[float]]
    captions_per_s: float
    configured_captions_per_s: float
    callbacks: dict[str, Any]
    cpu_s: dict[str, float]
    engine_restarts: int

    def to_json(self) -> dict[str, Any]:
        """Return the round as JSON values, with summaries instead of samples."""
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
