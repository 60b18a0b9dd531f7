"""The figures of media processes for metrics, their load, and what a process reports of itself."""

import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from inference.histogram import Histogram
from stream.context import StreamContext
from stream.counters import Counters, StreamTotals
from stream.load import LoadLevel, Pressure

_STATM = Path("/proc/self/statm")


def _no_ages() -> Histogram:
    return Counters().caption_ages_s


def _no_waits() -> Histogram:
    return Counters().engine_waits_s


@dataclass(frozen=True, slots=True)
class MediaTotals:
    """Counters of streams since the start; those of several processes can be added."""

    frames: StreamTotals = field(default_factory=StreamTotals)
    unsent_captions: int = 0
    caption_ages_s: Histogram = field(default_factory=_no_ages)
    engine_waits_s: Histogram = field(default_factory=_no_waits)

    @classmethod
    def of(cls, counters: Counters) -> Self:
        """Return the current totals."""
        return cls(
            counters.totals,
            counters.unsent_captions,
            counters.caption_ages_s,
            counters.engine_waits_s,
        )

    def __add__(self, other: "MediaTotals") -> "MediaTotals":
        return MediaTotals(
            self.frames + other.frames,
            self.unsent_captions + other.unsent_captions,
            self.caption_ages_s + other.caption_ages_s,
            self.engine_waits_s + other.engine_waits_s,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the totals as JSON values."""
        return {
            "frames": asdict(self.frames),
            "unsent_captions": self.unsent_captions,
            "caption_ages_s": self.caption_ages_s.to_json(),
            "engine_waits_s": self.engine_waits_s.to_json(),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what `to_json` returned."""
        return cls(
            StreamTotals(**values["frames"]),
            values["unsent_captions"],
            Histogram.from_json(values["caption_ages_s"]),
            Histogram.from_json(values["engine_waits_s"]),
        )


@dataclass(frozen=True, slots=True)
class MediaReport:
    """What a process with streams reports of itself."""

    totals: MediaTotals = field(default_factory=MediaTotals)
    live_streams: int = 0
    """Streams being captioned."""
    analyses: int = 0
    """Analyses in progress."""
    level: LoadLevel = LoadLevel.NORMAL
    pressure: Pressure = field(default_factory=lambda: Pressure(0.0, 0.0))
    cpu_s: float = 0.0
    """CPU time that the process has used, in seconds."""
    resident_bytes: int = 0
    """Memory of the process, including what it shares with others."""

    @classmethod
    def of(cls, context: StreamContext) -> Self:
        """Return the current report of this process."""
        return cls(
            MediaTotals.of(context.counters),
            context.counters.live_streams,
            context.analyses.running,
            context.load.level,
            context.load.pressure,
            time.process_time(),
            _resident_bytes(),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "totals": self.totals.to_json(),
            "live_streams": self.live_streams,
            "analyses": self.analyses,
            "level": int(self.level),
            "pressure": asdict(self.pressure),
            "cpu_s": self.cpu_s,
            "resident_bytes": self.resident_bytes,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what `to_json` returned."""
        parts = {
            "totals": MediaTotals.from_json(values["totals"]),
            "level": LoadLevel(values["level"]),
            "pressure": Pressure(**values["pressure"]),
        }
        return cls(**{**values, **parts})


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """Figures of one media process for metrics; totals include processes that it replaced."""

    name: str
    """Its number, from 1."""
    is_running: bool
    starts: int
    """Processes started, the first among them."""
    sessions: int
    """Sessions and viewers."""
    feeds: int
    level: LoadLevel
    cpu_s: float
    resident_bytes: int


def _resident_bytes() -> int:
    """Return the memory of this process; 0 where the system does not say."""
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
