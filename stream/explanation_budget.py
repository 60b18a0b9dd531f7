"""How often a stream's captions are explained, so that captions keep the engine to themselves."""

import math
from collections import deque
from dataclasses import dataclass
from statistics import median_low

_REMEMBERED = 5
"""Measurements whose median counts: a graph that was compiled first, or another session's burst,
must not thin out what follows."""
_WIDEST = 10
"""Captions from one map to the next before the other kind of map is thinned out too."""
_RAREST = 100
"""Captions from one map to the next at the most: costs must be measured again, as they change."""


@dataclass(frozen=True, slots=True)
class Every:
    """For every how many captions maps are computed; 0 for never."""

    gradcam: int
    saliency: int


class Cost:
    """What a kind of map takes of the engine's time, as it was measured last."""

    def __init__(self) -> None:
        """Begin with no cost: the first map is always computed."""
        self._measured: deque[float] = deque(maxlen=_REMEMBERED)

    def measure(self, ms: float) -> None:
        """Take note of what one took."""
        self._measured.append(ms)

    @property
    def ms(self) -> float:
        """Of one, typically."""
        return median_low(self._measured) if self._measured else 0.0


class ExplanationBudget:
    """Holds a stream's maps to a share of the engine's time, by computing them less often.

    Saliency, the dearer, becomes rarer first: it is computed for every second caption, every third
    and so on; from every tenth on Grad-CAM becomes rarer too; then both.
    """

    def __init__(self, share: float) -> None:
        """Allow a share of the engine's time, in 0..1; with none, nothing is computed."""
        self._share = share
        self.gradcam, self.saliency = Cost(), Cost()

    def every(self, interval_s: float, *, gradcam: bool, saliency: bool) -> Every:
        """Choose how often maps are computed now.

        Args:
            interval_s: Seconds from one caption to the next.
            gradcam: Whether Grad-CAM is wanted at all.
            saliency: Whether saliency is.
        """
        if not self._share:
            return Every(0, 0)
        budget_ms = 1e3 * interval_s * self._share
        gradcam_ms = self.gradcam.ms if gradcam else 0.0
        saliency_ms = self.saliency.ms if saliency else 0.0
        chosen = _choose(gradcam_ms, saliency_ms, budget_ms)
        return Every(chosen.gradcam if gradcam else 0, chosen.saliency if saliency else 0)


def _choose(gradcam_ms: float, saliency_ms: float, budget_ms: float) -> Every:
    rarely = _times(saliency_ms, budget_ms - gradcam_ms)
    if rarely <= _WIDEST:
        return Every(1, rarely)
    rarely = _times(gradcam_ms, budget_ms - saliency_ms / _WIDEST)
    if rarely <= _WIDEST:
        return Every(rarely, _WIDEST)
    both = min(_times(gradcam_ms + saliency_ms, budget_ms), _RAREST)
    return Every(both, both)


def _times(cost_ms: float, budget_ms: float) -> int:
    """For every how many captions something can be afforded that costs so much."""
    if cost_ms <= budget_ms:
        return 1
    return math.ceil(cost_ms / budget_ms) if budget_ms > 0 else _RAREST + 1
