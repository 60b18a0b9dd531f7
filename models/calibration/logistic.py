"""Logistic regression, and measures of calibrated and of ranked predictions."""

import numpy as np
from numpy.typing import NDArray

_NEWTON_STEPS = 30
_RIDGE = 1e-3


def expected_calibration_error(
    probabilities: NDArray[np.floating], outcomes: NDArray[np.bool_], bins: int = 15
) -> float:
    """Measure the mean difference between probabilities and observed frequencies.

    Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (AAAI 2015),
    with bins of equal width, as in Guo et al., "On Calibration of Modern Neural Networks" (ICML
    2017).

    Args:
        probabilities: [N], in 0..1; at least one.
        outcomes: [N], whether the predicted event happened.
        bins: Number of bins.

    Returns:
        The mean over the items of |mean probability - observed frequency| of the item's bin.
    """
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = np.bincount(index, probabilities - outcomes, minlength=bins)
    return float(np.abs(gaps).sum() / len(probabilities))


def logistic(x: NDArray[np.floating]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(np.asarray(x, np.float64) / 2)))


def fit_logistic(
    features: NDArray[np.floating],
    outcomes: NDArray[np.bool_],
    importance: NDArray[np.floating] | None = None,
) -> NDArray[np.float64]:
    """Fit p(outcome | features) = logistic(features @ weights + offset), weakly regularised.

    With one feature this is the method of Platt, "Probabilistic Outputs for Support Vector
    Machines" (1999).

    Args:
        features: [N, F].
        outcomes: [N].
        importance: [N], how much each item counts; all alike by default.

    Returns:
        float64 [F + 1]: the weights, then the offset.
    """
    groups = np.zeros(len(features), int)
    return fit_grouped_logistic(features, outcomes, groups, np.inf, importance)[0]


def fit_grouped_logistic(
    features: NDArray[np.floating],
    outcomes: NDArray[np.bool_],
    groups: NDArray[np.integer],
    shrinkage: float,
    importance: NDArray[np.floating] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit p(outcome) = logistic(features @ weights + offset + offsets[group]) by Newton steps.

    Args:
        features: [N, F].
        outcomes: [N].
        groups: [N], of each item, from 0.
        shrinkage: Penalty of half the squared offset of a group; with infinity there are none.
        importance: [N], how much each item counts; all alike by default.

    Returns:
        The weights and the offset float64 [F + 1], and the offset of each group.
    """
    importance = np.ones(len(features)) if importance is None else importance
    centre = np.average(features, axis=0, weights=importance)
    scale = np.sqrt(np.average((features - centre) ** 2, axis=0, weights=importance)) + 1e-12
    design = np.column_stack([(features - centre) / scale, np.ones(len(features))])
    weights = np.zeros(design.shape[1])
    offsets = np.zeros(int(groups.max(initial=0)) + 1)
    penalty = _RIDGE * importance.sum() * np.diag([*[1.0] * features.shape[1], 0.0])
    for _ in range(_NEWTON_STEPS):
        p = logistic(design @ weights + offsets[groups])
        gradient = design.T @ (importance * (p - outcomes)) + penalty @ weights
        hessian = (design * (importance * p * (1 - p))[:, None]).T @ design + penalty
        weights -= np.linalg.solve(hessian + 1e-9 * np.eye(len(weights)), gradient)
        if np.isfinite(shrinkage):
            p = logistic(design @ weights + offsets[groups])
            residuals = np.bincount(groups, importance * (outcomes - p), len(offsets))
            curvatures = np.bincount(groups, importance * p * (1 - p), len(offsets))
            offsets += (residuals - shrinkage * offsets) / (curvatures + shrinkage)
    slopes = weights[:-1] / scale
    return np.append(slopes, weights[-1] - slopes @ centre), offsets


def area_under_curve(scores: NDArray[np.floating], outcomes: NDArray[np.bool_]) -> float:
    """Return the probability that an item that happened has a higher score than one that did not.

    It is the area under the ROC curve; equal scores count half. 0.5 if all or none happened.
    """
    positive, negative = int(outcomes.sum()), int((~outcomes).sum())
    if not positive or not negative:
        return 0.5
    least = positive * (positive + 1) / 2
    return float((_ranks(scores)[outcomes].sum() - least) / (positive * negative))


def rank_correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Spearman's rank correlation, in -1..1; equal values share their mean rank.

    0 if either is constant, of which no order is known.
    """
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse], np.float64)
