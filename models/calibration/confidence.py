"""Calibrated confidence of captions and words, and measures of calibration.

A word's probability is p(word | image, previous words) at a temperature (Guo et al., "On
Calibration of Modern Neural Networks", ICML 2017). A caption's confidence is the probability that
it is mostly right: that at least two thirds of its content words are among those of five people
who described the same image.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.language import content_words

RIGHT_SHARE = 2 / 3
"""Least share of content words that must be right for a caption to be mostly right."""

CONFIDENCE_FEATURES = ("mean_log_prob", "lowest_log_prob", "words", "activity")
"""Inputs of the confidence, in the order of `confidence_features`."""

_NEWTON_STEPS = 30
_RIDGE = 1e-3


@dataclass(frozen=True, slots=True)
class ConfidenceCalibration:
    """Calibration of a captioner's probabilities, as `python -m models.calibrate` fits it."""

    temperature: float
    """Divides the logits before word probabilities are computed."""
    weights: tuple[float, ...]
    """One for each of `CONFIDENCE_FEATURES`."""
    offset: float
    threshold: float
    """Captions with a lower confidence are replaced by the low-confidence fallback."""
    prefix_threshold: float
    """The fallback keeps the beginning of a caption if the product of its words' probabilities is
    at least this."""

    def __post_init__(self) -> None:
        if len(self.weights) != len(CONFIDENCE_FEATURES) or not self.temperature > 0:
            raise ValueError(
                f"a confidence calibration needs {len(CONFIDENCE_FEATURES)} weights and a "
                f"temperature above 0, not {len(self.weights)} and {self.temperature}"
            )

    def confidence(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the probability that captions are mostly right.

        Args:
            features: [..., len(CONFIDENCE_FEATURES)], from `confidence_features`.

        Returns:
            float64 [...], in 0..1.
        """
        return logistic(features @ np.array(self.weights) + self.offset)


def confidence_features(
    log_probs: NDArray[np.floating], grid: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Compute the inputs of a caption's confidence.

    Args:
        log_probs: [T], of the caption's words and its end token, at the search's temperature.
        grid: [rows, columns, channels], the grid that was captioned.

    Returns:
        float64 [len(CONFIDENCE_FEATURES)].
    """
    activity = np.linalg.norm(grid.mean(axis=(0, 1), dtype=np.float64))
    return np.array([log_probs.mean(), log_probs.min(), len(log_probs) - 1, activity], np.float64)


def is_mostly_right(caption: str, references: tuple[str, ...]) -> bool:
    """Return whether most of a caption's content words occur in the image's reference captions."""
    words = content_words(caption)
    known = frozenset[str]().union(*map(content_words, references))
    return bool(words) and len(words & known) >= RIGHT_SHARE * len(words)


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
    features: NDArray[np.floating], outcomes: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Fit p(outcome | features) = logistic(features @ weights + offset), weakly regularised.

    With one feature this is the method of Platt, "Probabilistic Outputs for Support Vector
    Machines" (1999).

    Args:
        features: [N, F].
        outcomes: [N].

    Returns:
        float64 [F + 1]: the weights, then the offset.
    """
    centre, scale = features.mean(axis=0), features.std(axis=0) + 1e-12
    design = np.column_stack([(features - centre) / scale, np.ones(len(features))])
    weights = np.zeros(design.shape[1])
    penalty = _RIDGE * len(design) * np.diag([*[1.0] * features.shape[1], 0.0])
    for _ in range(_NEWTON_STEPS):
        p = logistic(design @ weights)
        gradient = design.T @ (p - outcomes) + penalty @ weights
        hessian = (design * (p * (1 - p))[:, None]).T @ design + penalty
        weights -= np.linalg.solve(hessian + 1e-9 * np.eye(len(weights)), gradient)
    slopes = weights[:-1] / scale
    return np.append(slopes, weights[-1] - slopes @ centre)


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
