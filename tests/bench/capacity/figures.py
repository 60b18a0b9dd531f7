"""Figures of the capacity benchmark."""

from collections.abc import Sequence

import numpy as np

from tests.bench.capacity.level import Level, is_sustained
from tests.bench.figures import Figure, Target

Levels = Sequence[Level]
"""Levels without sessions, with one, with two, and so on."""

_FEW, _MANY = (0, 1, 2), (9, 10, 11)
"""Levels whose slope is the cost of one more session at 1 and at 10 sessions."""
_MIN_SESSIONS = Target(10, at_least=True)
_MAX_INCREASE = Target(0.15)


def capacity_figures(rounds: Sequence[Levels]) -> list[Figure]:
    """Compute the figures from the levels of each round."""
    figures = [
        Figure.over_rounds(
            "sustained sessions",
            "",
            [[sustained_sessions(levels)] for levels in rounds],
            target=_MIN_SESSIONS,
        )
    ]
    for name, process in (("", None), (", server", "server"), (", engine", "engine")):
        figures += _cost_figures(name, process, rounds)
    figures += _cost_figures(", load generator", "load", rounds)
    increases = [
        [_slope(levels, _MANY) / _slope(levels, _FEW) - 1]
        for levels in rounds
        if len(levels) > _MANY[-1]
    ]
    if increases:
        figures.append(
            Figure.over_rounds(
                "increase of the cost from 1 to 10 sessions", "", increases, target=_MAX_INCREASE
            )
        )
    return figures


def sustained_sessions(levels: Levels) -> int:
    """Return the largest number of sessions below the first that is not sustained."""
    failed = next((level.sessions for level in levels if not is_sustained(level)), len(levels))
    return failed - 1


def _cost_figures(name: str, process: str | None, rounds: Sequence[Levels]) -> list[Figure]:
    at_ten = [levels for levels in rounds if len(levels) > _MANY[-1]]
    few = [[1e3 * _slope(levels, _FEW, process)] for levels in rounds]
    many = [[1e3 * _slope(levels, _MANY, process)] for levels in at_ten]
    figures = [Figure.over_rounds(f"cost per session at 1{name}", "ms/s of CPU", few)]
    if many:
        figures.append(Figure.over_rounds(f"cost per session at 10{name}", "ms/s of CPU", many))
    return figures


def _slope(levels: Levels, at: Sequence[int], process: str | None = None) -> float:
    """Return the CPU seconds per second that a session adds, by a least-squares fit."""
    used = [levels[number].cpu[process] if process else levels[number].served_cpu for number in at]
    return float(np.polyfit(at, used, 1)[0])
