"""The check of a word's map: does blanking what it highlights matter more than blanking elsewhere?

The region is compared with itself in other places (`inference.explanations.placements`), of which
those that hardly overlap it are elsewhere. A place stands out by how far the word's log-probability
lies below its mean over the regions elsewhere, in their standard deviations. p is the share of all
places that stand out at least as much, the map's own among them: one-sided, a permutation test. If
the region had been put into one of its places at random, p would be at most a with a probability of
at most a, whatever the image and the captioner (Hemerik and Goeman, Exact testing with random
permutations, TEST 2018).

The rank among the regions elsewhere alone would not do: on photographs, where neighbouring regions
matter alike, one region in ten that is put anywhere at random is among their lowest twentieth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inference.explanations.placements import Cells, is_elsewhere
from inference.significance import SIGNIFICANCE_LEVEL, holm, lowest_rank_p, majority_p

Verdict = Literal["holds up", "fails", "cannot tell", "cannot be checked"]
"""`holds up`: the word loses probability, and p is at most 0.05. `fails`: more than half of the
regions elsewhere lower the word as much (one-sided sign test at 0.05). `cannot tell`: neither was
shown. `cannot be checked`: there are fewer than `MIN_ELSEWHERE` regions elsewhere."""

MIN_ELSEWHERE = 20
"""Regions elsewhere that a test needs; with fewer, p cannot be as low as 0.05."""

_LEAST = 1e-4
"""Lower probabilities count as this one: their logarithms differ, but none is likely."""
_LEAST_DEVIATION = 1e-3
"""Of log-probabilities: where regions elsewhere differ less, they count as differing so much."""
_TOLERANCE = 1e-3
"""Places that differ by less count as equal: in standard deviations, and in the sign test relative
to the probability."""


@dataclass(frozen=True, slots=True)
class Check:
    """The result of checking a word's map: the word's probability with regions blanked."""

    share: float
    """Share of the image that was blanked, in 0..1."""
    prob: float
    """p(word | image, previous words) with nothing blanked, in 0..1."""
    blanked: float
    """The same with the top of the map blanked."""
    elsewhere: tuple[float, float, float] | None
    """The same with the region elsewhere: lowest, median and highest; None if it
    cannot be checked."""
    regions: int
    """Number of the regions elsewhere: they overlap the map's own by a quarter at most."""
    places: int
    """Number of all places, the map's own among them."""
    p: float | None
    """That the map's region stands out no more than in a random place: one-sided; None if it cannot
    be checked."""
    p_fails: float | None
    """That at most half of the regions elsewhere lower the word as much: one-sided; None if it
    cannot be checked."""

    @property
    def verdict(self) -> Verdict:
        """Whether the map holds up."""
        if self.p is None or self.p_fails is None:
            return "cannot be checked"
        if self.p <= SIGNIFICANCE_LEVEL and self.blanked < self.prob:
            return "holds up"
        return "fails" if self.p_fails <= SIGNIFICANCE_LEVEL else "cannot tell"

    def to_json(self) -> dict[str, Any]:
        """Return the check as JSON values."""
        elsewhere = self.elsewhere and list(self.elsewhere)
        return {**asdict(self), "elsewhere": elsewhere, "verdict": self.verdict}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Check":
        """Read what `to_json` returned."""
        fields = {name: values[name] for name in values if name != "verdict"}
        return cls(**{**fields, "elsewhere": fields["elsewhere"] and tuple(fields["elsewhere"])})


def compare_places(places: Sequence[Cells], probs: NDArray[np.floating], prob: float) -> Check:
    """Compare the map's region with the same region in other places.

    Args:
        places: Masks of the cells, the map's own region first.
        probs: p(word) with each of them blanked: [places].
        prob: p(word) with nothing blanked.
    """
    own, apart = float(probs[0]), is_elsewhere(places)
    elsewhere = probs[apart[0]]
    enough = len(elsewhere) >= MIN_ELSEWHERE
    quantiles = [_round(each) for each in np.quantile(elsewhere, (0, 0.5, 1))] if enough else []
    scores = _standing_out(np.log(np.maximum(probs, _LEAST)), apart)
    as_low = int(np.count_nonzero(elsewhere <= own * (1 + _TOLERANCE)))
    return Check(
        share=_round(places[0].mean()),
        prob=_round(prob),
        blanked=_round(own),
        elsewhere=(quantiles[0], quantiles[1], quantiles[2]) if enough else None,
        regions=len(elsewhere),
        places=len(places),
        p=_round(lowest_rank_p(scores[0] + _TOLERANCE, scores[1:])) if enough else None,
        p_fails=_round(majority_p(as_low, len(elsewhere))) if enough else None,
    )


def correct_checks(checks: Mapping[int, Check]) -> dict[int, Check]:
    """Correct the p-values of words that were checked together, by Holm's method."""
    tested = {key: each for key, each in checks.items() if each.p is not None}
    p = holm([each.p or 0.0 for each in tested.values()])
    p_fails = holm([each.p_fails or 0.0 for each in tested.values()])
    corrected = {
        key: replace(each, p=_round(pair[0]), p_fails=_round(pair[1]))
        for (key, each), pair in zip(tested.items(), zip(p, p_fails, strict=True), strict=True)
    }
    return {**checks, **corrected}


def _standing_out(log_probs: NDArray[np.floating], apart: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how far each place lies above those elsewhere, in standard deviations: [places].

    Args:
        log_probs: [places].
        apart: Which places are elsewhere of which, [places, places].
    """
    counts = np.maximum(apart.sum(axis=1), 1)
    means = apart @ log_probs / counts
    variances = apart @ np.square(log_probs) / counts - np.square(means)
    deviations = np.sqrt(np.maximum(variances, 0))
    return np.asarray((log_probs - means) / np.maximum(deviations, _LEAST_DEVIATION))


def _round(value: float) -> float:
    return round(float(value), 4)
