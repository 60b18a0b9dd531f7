"""The benchmark of capacity in figures."""

from collections.abc import Sequence

import numpy as np

from tests.bench.capacity_level import Level, carried
from tests.bench.figures import Figure, Target

Ladder = Sequence[Level]
"""Levels with no session, with one, two and so on."""

_FEW, _MANY = (0, 1, 2), (9, 10, 11)
"""Levels whose slope is the cost of one more session at 1 and at 10."""


def capacity_figures(ladders: Sequence[Ladder]) -> list[Figure]:
    """Put together what the rounds measured."""
    figures = [
        Figure.over_rounds(
            "sessions carried", "", [[carries(ladder)] for ladder in ladders], target=_CARRIED
        )
    ]
    for name, part in (("", None), (", server", "server"), (", engine", "engine")):
        figures += _costs(name, part, ladders)
    figures += _costs(", load generator", "load", ladders)
    ratios = [
        [_slope(ladder, _MANY) / _slope(ladder, _FEW) - 1]
        for ladder in ladders
        if len(ladder) > _MANY[-1]
    ]
    if ratios:
        figures.append(
            Figure.over_rounds("one more session at 10 costs more by", "", ratios, target=_DEARER)
        )
    return figures


def carries(ladder: Ladder) -> int:
    """How many sessions the server carries: the most below the first number that it does not."""
    refused = next((level.sessions for level in ladder if not carried(level)), len(ladder))
    return refused - 1


def _costs(name: str, part: str | None, ladders: Sequence[Ladder]) -> list[Figure]:
    at_ten = [ladder for ladder in ladders if len(ladder) > _MANY[-1]]
    few = [[1e3 * _slope(ladder, _FEW, part)] for ladder in ladders]
    many = [[1e3 * _slope(ladder, _MANY, part)] for ladder in at_ten]
    figures = [Figure.over_rounds(f"one more session at 1{name}", "ms/s of CPU", few)]
    if many:
        figures.append(Figure.over_rounds(f"one more session at 10{name}", "ms/s of CPU", many))
    return figures


def _slope(ladder: Ladder, levels: Sequence[int], part: str | None = None) -> float:
    """CPU seconds per second that a session adds, by least squares through some levels."""
    used = [ladder[level].cpu[part] if part else ladder[level].served_cpu for level in levels]
    return float(np.polyfit(levels, used, 1)[0])


_CARRIED = Target(10, at_least=True)
_DEARER = Target(0.15)
