"""Thresholds of tags, by how often people mention each kind of object that would be shown.

A kind that is shown often would otherwise set the threshold of all others: where the tag "dog" is
nearly always right, "swimming cap" may be wrong half of the time. So a kind is judged by its own
tags, and as far as there are few of these, by those of the other kinds, none of which counts for
much alone. It must be precise on each dataset: "dog" is not on images that hardly show any.
"""

import numpy as np
from numpy.typing import NDArray

from models.calibration.tags import choose_tags
from models.tag_kinds import tag_kinds

_CANDIDATES = np.round(np.arange(0.05, 0.99, 0.01), 2)

_SHRINKAGE = 5
"""Tags of a kind on one dataset that count as much as the precision of all other kinds."""

_MOST_OF_A_KIND = 10
"""A kind counts among the others as if at most so many of its tags were shown."""

_CAUTION = 0.25
"""Standard errors by which an estimated precision is lowered, since the lowest threshold that seems
precise enough is often so by chance."""

NEVER = 1.0
"""Threshold of a kind that is not shown, since it is precise enough at no threshold."""


def find_thresholds(
    probabilities: NDArray[np.floating],
    mentioned: NDArray[np.bool_],
    parts: NDArray[np.integer],
    precision: float,
) -> tuple[float, dict[str, float]]:
    """Find the lowest thresholds at which tags reach a precision.

    Args:
        probabilities: [N, len(tag_kinds())], of images that they were not fitted on.
        mentioned: [N, len(tag_kinds())], whether people mention the kind.
        parts: [N], the dataset of each image, by any number.
        precision: Share of the tags shown that must be right, in 0..1.

    Returns:
        The threshold of kinds of which nothing is known, and by tag those that differ from it.

    Raises:
        ValueError: If no threshold reaches the precision.
    """
    by_part = [_counts(probabilities[parts == p], mentioned[parts == p]) for p in np.unique(parts)]
    shown, right = (np.sum([part[index] for part in by_part], axis=0) for index in range(2))
    weights = np.minimum(shown, _MOST_OF_A_KIND) / np.maximum(shown, 1)
    others_shown, others_right = (_without_own(weights * each) for each in (shown, right))
    others = others_right / np.maximum(others_shown, 1e-9)
    enough = np.ones(shown.shape, bool)
    for its_shown, its_right in by_part:
        count = its_shown + _SHRINKAGE
        enough &= _cautious((its_right + _SHRINKAGE * others) / count, count) >= precision
    count = np.maximum((weights * shown).sum(axis=1), 1)
    default = _lowest(_cautious((weights * right).sum(axis=1) / count, count) >= precision)
    if default == NEVER:
        raise ValueError(f"no threshold gives a precision of {precision:.0%}; lower --precision")
    own = {
        kind.name: _lowest(enough[:, index])
        for index, kind in enumerate(tag_kinds())
        if shown[:, index].any()
    }
    return default, {name: threshold for name, threshold in own.items() if threshold != default}


def _counts(
    probabilities: NDArray[np.floating], mentioned: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count the tags of each kind shown, and those that are right: [candidates, kinds] each."""
    shown = np.zeros((len(_CANDIDATES), len(tag_kinds())))
    right = np.zeros_like(shown)
    for image, its_mentions in zip(probabilities, mentioned, strict=True):
        # Each tag depends on more probable ones alone, so those above a higher threshold stay.
        for index in choose_tags(image, _CANDIDATES[0]):
            above = image[index] >= _CANDIDATES
            shown[above, index] += 1
            right[above, index] += its_mentions[index]
    return shown, right


def _cautious(precision: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lower a precision that was estimated from a number of tags, by `_CAUTION`."""
    error = np.sqrt(np.maximum(precision * (1 - precision), 0) / count)
    return np.asarray(precision - _CAUTION * error)


def _without_own(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum over all other kinds: [candidates, kinds]."""
    return np.asarray(counts.sum(axis=1, keepdims=True) - counts)


def _lowest(enough: NDArray[np.bool_]) -> float:
    """Return the lowest candidate that is enough, `NEVER` if none is."""
    found = np.flatnonzero(enough)
    return float(_CANDIDATES[found[0]]) if len(found) else NEVER
