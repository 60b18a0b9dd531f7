"""Fits what makes probabilities of the evidence of tags, and measures how well they hold."""

from dataclasses import dataclass, replace

import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.calibration.confidence import expected_calibration_error, logistic
from models.calibration.tags import MOST_TAGS, TagCalibration, choose, kinds, tag_evidence

_FOLDS = 5


_RIDGE = 3.0
"""Of the doubts: a tag must be seen and not mentioned some times before it is much doubted."""


_SILENCE = 0.25
"""How far in log-odds a tag must be from being told of a blank picture."""


_FIT_STEPS = 200


_SETTLED = 1e-5


Table = NDArray[np.float64]
"""A number for each picture and kind [N, len(kinds())]."""


Truth = NDArray[np.bool_]
"""Whether people mention the kind [N, len(kinds())]."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How well the tags of a data set hold; "before" is the plain sum of class probabilities."""

    pictures: int
    tags: float
    """Told of a picture, on average."""
    coverage: float
    """Share of the pictures of which a tag is told."""
    precision: float
    """Share of the told tags that people mention."""
    ece_before: float
    """Expected calibration error of each picture's most probable tags."""
    ece: float
    brier_before: float
    """Squared error of all tags' probabilities, summed over a picture."""
    brier: float
    log_loss_before: float
    """Of all tags, in nats, summed over a picture."""
    log_loss: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the encoder still sees what the published network saw."""

    same_class: float
    """Share of the pictures whose most probable class is the same."""
    divergence: float
    """Of its class probabilities from the published network's: Kullback-Leibler, nats a picture."""
    same_tags: float
    """Tags that both tell, as a share of those that either tells (Jaccard)."""


def read_evidence(scores: NDArray[np.floating]) -> Table:
    """Evidence of every kind in a classifier's logits [N, CLASSES]."""
    return np.asarray(ops.convert_to_numpy(tag_evidence(scores)), np.float64)


def fit(evidence: Table, there: Truth) -> TagCalibration:
    """Fit what makes probabilities of evidence, with a threshold of 1/2.

    A tag's doubt lowers it where people mention it less often than all tags' common slope and
    offset would have it, and is shrunk towards 0. It is never below: how much is mentioned of what
    is hardly seen is the habit of a data set, and does not hold for other pictures.
    """
    slope, offset, doubts = 1.0, 0.0, np.zeros(evidence.shape[1])
    for _ in range(_FIT_STEPS):
        before = slope, offset, doubts
        p = logistic(slope * evidence + offset - doubts)
        gradient, curvature = p - there, p * (1 - p)
        mixed = (curvature * evidence).sum()
        hessian = np.array([[(curvature * evidence**2).sum(), mixed], [mixed, curvature.sum()]])
        step = np.linalg.solve(hessian, [(gradient * evidence).sum(), gradient.sum()])
        slope, offset = slope - float(step[0]), offset - float(step[1])
        p = logistic(slope * evidence + offset - doubts)
        downhill = (p - there).sum(axis=0) - _RIDGE * doubts
        doubts = np.maximum(doubts + downhill / ((p * (1 - p)).sum(axis=0) + _RIDGE), 0)
        changes = [
            np.abs(new - old).max()
            for new, old in zip((slope, offset, doubts), before, strict=True)
        ]
        if max(changes) < _SETTLED:
            break
    named = zip((kind.name for kind in kinds()), doubts.tolist(), strict=True)
    return TagCalibration(
        slope=round(slope, 4),
        offset=round(offset, 4),
        doubts={name: round(doubt, 3) for name, doubt in named if doubt >= 0.001},
        threshold=0.5,
    )


def silence(calibration: TagCalibration, blank: Table) -> TagCalibration:
    """Doubt the tags that pictures of nothing arouse, until they are not told of such pictures.

    Args:
        calibration: What was fitted, with its threshold.
        blank: Evidence in pictures in which there is nothing.
    """
    threshold = calibration.threshold
    highest = calibration.slope * blank.max(axis=0) + calibration.offsets
    excess = highest - (np.log(threshold) - np.log1p(-threshold)) + _SILENCE
    doubts = dict(calibration.doubts)
    for index in np.flatnonzero(excess > 0):
        name = kinds()[index].name
        doubts[name] = round(doubts.get(name, 0.0) + float(excess[index]), 3)
    return replace(calibration, doubts=doubts)


def cross_validate(
    evidence: Table, there: Truth, blank: Table, precision: float
) -> tuple[Table, Truth]:
    """Measure each fold of the pictures with what was fitted on the others.

    Args:
        evidence: What `models.calibration.tags.tag_evidence` found.
        there: Whether people mention it.
        blank: Evidence in pictures in which there is nothing; see `silence`.
        precision: Share of the told tags that must be right.

    Returns:
        The probabilities before `silence`, and which tags are told after it.
    """
    folds = np.random.default_rng(0).permutation(len(evidence)) % _FOLDS
    fits = [fit(evidence[folds != fold], there[folds != fold]) for fold in range(_FOLDS)]
    probabilities = np.empty_like(evidence)
    for fold, fitted in enumerate(fits):
        probabilities[folds == fold] = fitted.probabilities(evidence[folds == fold])
    told = np.zeros_like(there)
    for fold, fitted in enumerate(fits):
        threshold = find_threshold(probabilities[folds != fold], there[folds != fold], precision)
        silenced = silence(replace(fitted, threshold=threshold), blank)
        told[folds == fold] = which_told(evidence[folds == fold], silenced)
    return probabilities, told


def find_threshold(probabilities: Table, there: Truth, precision: float) -> float:
    """Find the lowest threshold from which on the told tags are right as often as asked.

    Raises:
        ValueError: If there is none.
    """
    order = np.argsort(-probabilities, axis=None)
    right = np.cumsum(there.ravel()[order])
    enough = np.flatnonzero(right >= precision * np.arange(1, len(order) + 1))
    if not len(enough):
        raise ValueError(f"no tag is right in {precision:.0%} of the pictures: lower --precision")
    return float(probabilities.ravel()[order[enough[-1]]])


def which_told(evidence: Table, calibration: TagCalibration) -> Truth:
    """Whether each tag is told of each picture [N, len(kinds())]."""
    probabilities = calibration.probabilities(evidence)
    told = np.zeros(probabilities.shape, bool)
    for row, picture in zip(told, probabilities, strict=True):
        row[choose(picture, calibration.threshold)] = True
    return told


def measure(evidence: Table, probabilities: Table, told: Truth, there: Truth) -> Figures:
    """Measure probabilities, and what was told by them, against what people mention."""
    before = logistic(evidence)
    return Figures(
        pictures=len(there),
        tags=float(told.sum(axis=1).mean()),
        coverage=float(told.any(axis=1).mean()),
        precision=float(there[told].mean()) if told.any() else 0.0,
        ece_before=_ece(before, there),
        ece=_ece(probabilities, there),
        brier_before=_brier(before, there),
        brier=_brier(probabilities, there),
        log_loss_before=_log_loss(before, there),
        log_loss=_log_loss(probabilities, there),
    )


def _ece(probabilities: Table, there: Truth) -> float:
    """Of the tags that might be told: over all of them the error of certain absences is nothing."""
    likeliest = np.argsort(-probabilities, axis=1)[:, :MOST_TAGS]
    return expected_calibration_error(
        np.take_along_axis(probabilities, likeliest, axis=1).ravel(),
        np.take_along_axis(there, likeliest, axis=1).ravel(),
    )


def _brier(probabilities: Table, there: Truth) -> float:
    return float(((probabilities - there) ** 2).sum(axis=1).mean())


def _log_loss(probabilities: Table, there: Truth) -> float:
    said = np.clip(np.where(there, probabilities, 1 - probabilities), 1e-12, None)
    return float(-np.log(said).sum(axis=1).mean())


def measure_agreement(
    scores: NDArray[np.floating], published: NDArray[np.floating], calibration: TagCalibration
) -> Agreement:
    """Compare two classifiers' logits [N, CLASSES] of the same pictures."""
    logs, published_logs = _log_softmax(scores), _log_softmax(published)
    told, published_told = (
        which_told(read_evidence(logits), calibration) for logits in (scores, published)
    )
    either = (told | published_told).sum()
    return Agreement(
        same_class=float((scores.argmax(axis=1) == published.argmax(axis=1)).mean()),
        divergence=float((np.exp(published_logs) * (published_logs - logs)).sum(axis=1).mean()),
        same_tags=float((told & published_told).sum() / either) if either else 1.0,
    )


def _log_softmax(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    scores = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    return np.asarray(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))
