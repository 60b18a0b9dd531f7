"""How sure a captioner is, in probabilities that are what they say.

A word's probability is p(word | picture, the words before) at a temperature (Guo et al., "On
Calibration of Modern Neural Networks", ICML 2017). A caption's confidence is the probability that
it is mostly right: that of the words in it that carry meaning, two thirds or more are among those
of five people who described the same picture.

Whether probabilities are what they say: fitting and measuring their calibration.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.language.content_words import content_words

RIGHT_SHARE = 2 / 3
EVIDENCE = ("mean_log_prob", "lowest_log_prob", "words", "activity")
_NEWTON_STEPS = 30
_RIDGE = 1e-3


@dataclass(frozen=True, slots=True)
class Doubt:
    """What `python -m models.calibrate` has found for a captioner."""

    temperature: float
    """What the logits are divided by before a word's probability is told."""
    weights: tuple[float, ...]
    """Of each of `EVIDENCE`."""
    offset: float
    threshold: float
    """A caption of less confidence is too doubtful to be said."""
    beginning: float
    """The beginning of a doubtful caption is sure if the product of its words' probabilities is
    no less than this."""

    def __post_init__(self) -> None:
        if len(self.weights) != len(EVIDENCE) or not self.temperature > 0:
            raise ValueError(
                f"a doubt needs {len(EVIDENCE)} weights and a temperature above 0, not "
                f"{len(self.weights)} and {self.temperature}"
            )

    def confidence(self, evidence: NDArray[np.floating]) -> NDArray[np.float64]:
        """The probability that captions are mostly right: [..., len(EVIDENCE)] to [...]."""
        return logistic(evidence @ np.array(self.weights) + self.offset)


def evidence(log_probs: NDArray[np.floating], grid: NDArray[np.floating]) -> NDArray[np.float64]:
    """Gather what a caption's confidence hangs on.

    Args:
        log_probs: [T], of the caption's words and its end as the search went by them.
        grid: [rows, columns, channels], what the caption was read from.

    Returns:
        float64 [len(EVIDENCE)].
    """
    activity = np.linalg.norm(grid.mean(axis=(0, 1), dtype=np.float64))
    return np.array([log_probs.mean(), log_probs.min(), len(log_probs) - 1, activity], np.float64)


def is_mostly_right(caption: str, references: tuple[str, ...]) -> bool:
    """Whether most of what a caption says is said by those who described the same picture."""
    said = content_words(caption)
    known = frozenset[str]().union(*map(content_words, references))
    return bool(said) and len(said & known) >= RIGHT_SHARE * len(said)


def expected_calibration_error(
    probabilities: NDArray[np.floating], outcomes: NDArray[np.bool_], bins: int = 15
) -> float:
    """Measure how far probabilities are from shares, on average.

    Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (AAAI 2015),
    with bins of equal width, as Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017).

    Args:
        probabilities: [N], in 0..1; one at least.
        outcomes: [N], whether it was so.
        bins: How many.

    Returns:
        The mean over the items of |mean probability - share that was so| of the item's bin.
    """
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = np.bincount(index, probabilities - outcomes, minlength=bins)
    return float(np.abs(gaps).sum() / len(probabilities))


def logistic(x: NDArray[np.floating]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(np.asarray(x, np.float64) / 2)))


def fit_logistic(
    evidence: NDArray[np.floating], outcomes: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Fit p(outcome | evidence) = logistic(evidence @ weights + offset), hardly regularised.

    With one column it is the method of Platt, "Probabilistic Outputs for Support Vector Machines"
    (1999).

    Args:
        evidence: [N, F].
        outcomes: [N].

    Returns:
        float64 [F + 1]: the weights, then the offset.
    """
    centre, scale = evidence.mean(axis=0), evidence.std(axis=0) + 1e-12
    design = np.column_stack([(evidence - centre) / scale, np.ones(len(evidence))])
    weights = np.zeros(design.shape[1])
    penalty = _RIDGE * len(design) * np.diag([*[1.0] * evidence.shape[1], 0.0])
    for _ in range(_NEWTON_STEPS):
        p = logistic(design @ weights)
        gradient = design.T @ (p - outcomes) + penalty @ weights
        hessian = (design * (p * (1 - p))[:, None]).T @ design + penalty
        weights -= np.linalg.solve(hessian + 1e-9 * np.eye(len(weights)), gradient)
    slopes = weights[:-1] / scale
    return np.append(slopes, weights[-1] - slopes @ centre)


def rank_correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Spearman's rank correlation, in -1..1; equal values share their mean rank."""
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse], np.float64)
