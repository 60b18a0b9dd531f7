"""What a long analysis of a picture returns: its report, as files."""

from dataclasses import dataclass
from typing import Literal

AnalysisKind = Literal["adversarial", "ace"]
"""How easily the captioner is fooled; or in what concepts it thinks."""


@dataclass(frozen=True, slots=True, eq=False)
class Analysed:
    """A report and what it cost."""

    files: dict[str, bytes]
    """By name: `report.html`, whole in itself, and `report.json`."""
    summary: tuple[str, ...]
    """What was found, in a few sentences for people; plain text."""
    took_ms: float
    """Of the engine's time; what else was done between is not counted."""
