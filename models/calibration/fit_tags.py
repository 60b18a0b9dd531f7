"""Fits and measures the tag calibration of a captioner on datasets."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from tqdm import tqdm

from models.calibration.blank import blank_images
from models.calibration.logistic import expected_calibration_error, logistic
from models.calibration.tag_thresholds import NEVER, find_thresholds
from models.calibration.tags import (
    MAX_TAGS,
    TagCalibration,
    choose_tags,
    mentioned_kinds,
    raw_log_odds,
)
from models.captioner import Captioner
from models.datasets import Dataset, Example, open_dataset
from models.encoders import CLASSES, load_pretrained, make_encoder
from models.preprocessing import resize_to_square
from models.tag_kinds import tag_kinds

_BATCH = 32
_SPLIT = "dev"
_FOLDS = 5
_INNER_FOLDS = 3
"""Of the images that a fold is measured with, to find their thresholds."""

_RIDGE = 3.0
"""Shrinks penalties: a tag needs several images without a mention before its penalty is large."""

_BLANK_MARGIN = 0.25
"""How far below the threshold a tag must be for blank images, in log-odds."""

_SURE = 1 - 1e-9
"""Above the probability of any tag, for the log-odds of the threshold 1."""

_FIT_STEPS = 200
_CONVERGED = 1e-5

Table = NDArray[np.float64]
"""A number for each image and kind [N, len(tag_kinds())]."""

Mask = NDArray[np.bool_]
"""A truth value for each image and kind [N, len(tag_kinds())]."""


class Evidence(NamedTuple):
    """What is known of images to fit tags on."""

    log_odds: Table
    """Uncalibrated, from `read_log_odds`."""
    mentioned: Mask
    """Whether people mention the kind."""
    parts: NDArray[np.integer]
    """[N], the dataset of each image, by any number."""

    def take(self, chosen: Mask) -> "Evidence":
        """Return the chosen images, [N]."""
        return Evidence(self.log_odds[chosen], self.mentioned[chosen], self.parts[chosen])


@dataclass(frozen=True, slots=True)
class TagFigures:
    """Quality of the tags on a dataset. "before" is the plain sum of class probabilities."""

    images: int
    tags: float
    """Mean number of tags shown for an image."""
    coverage: float
    """Share of the images with at least one tag."""
    precision: float
    """Share of the tags shown that people mention."""
    commonest: str
    """The tag that is shown most often; empty if none is."""
    precision_without_commonest: float
    """`precision` of all other tags."""
    ece_before: float
    """Expected calibration error of each image's most probable tags."""
    ece: float
    brier_before: float
    """Squared error of all tags' probabilities, summed over an image."""
    brier: float
    log_loss_before: float
    """Log loss of all tags, in nats, summed over an image."""
    log_loss: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of the encoder with the published network it was fine-tuned from."""

    same_class: float
    """Share of the images with the same most probable class."""
    divergence: float
    """Kullback-Leibler divergence of its class probabilities from the published network's, in nats
    an image."""
    same_tags: float
    """Tags that both show, as a share of those that either shows (Jaccard)."""


def fit_tags(
    captioner: Captioner, data: Sequence[Path], precision: float
) -> tuple[TagCalibration, dict[str, dict[str, Any]]]:
    """Fit a captioner's tags on datasets, and measure such a fit by cross-validation.

    Of a dataset the split `dev` is used if it has one, otherwise all of it.

    Args:
        captioner: The captioner.
        data: The datasets' folders.
        precision: Share of the tags shown that must be right, in 0..1.

    Returns:
        The calibration, and the figures by heading and name.

    Raises:
        models.datasets.DatasetError: If a dataset cannot be read.
        ValueError: If the captioner has no classifier, or no threshold reaches the precision.
    """
    if captioner.classifier is None:
        raise ValueError("the captioner has no classifier for tags; train with classes = 1000")
    network = _Classifier(captioner.encoder, captioner.classifier)
    sets = [_Images(path) for path in data]
    scores = network.score_all(sets)
    mentioned = np.array([mentioned_kinds(e.captions) for images in sets for e in images.examples])
    log_odds = read_log_odds(scores)
    blank = read_log_odds(network.score(blank_images(network.side)))
    counts = [len(images.examples) for images in sets]
    evidence = Evidence(log_odds, mentioned, np.repeat(np.arange(len(sets)), counts))
    probabilities, shown = cross_validate(evidence, blank, precision)
    calibration = fit_with_thresholds(evidence, blank, precision)

    report: dict[str, dict[str, Any]] = {
        "calibration": {
            "slope": calibration.slope,
            "offset": calibration.offset,
            "threshold": calibration.threshold,
            "penalized_tags": len(calibration.penalties),
            "tags_with_own_threshold": len(calibration.thresholds),
            "tags_never_shown": list(calibration.thresholds.values()).count(NEVER),
        }
    }
    ends = np.cumsum(counts)[:-1]
    parts = [np.split(values, ends) for values in (log_odds, probabilities, shown, mentioned)]
    for path, *part in zip(data, *parts, strict=True):
        report[str(path)] = asdict(measure(*part))
    try:
        published = _published(network).score_all(sets)
    except RuntimeError as problem:
        print(f"agreement with the published network was not measured: {problem}", file=sys.stderr)
        return calibration, report
    both = [np.split(values, ends) for values in (scores, published)]
    for path, own, other in zip(data, *both, strict=True):
        report[f"agreement on {path}"] = asdict(measure_agreement(own, other, calibration))
    return calibration, report


def read_log_odds(scores: NDArray[np.floating]) -> Table:
    """Compute the uncalibrated log-odds of every kind from a classifier's logits [N, CLASSES]."""
    return np.asarray(ops.convert_to_numpy(raw_log_odds(scores)), np.float64)


def fit(log_odds: Table, mentioned: Mask) -> TagCalibration:
    """Fit a calibration, with a threshold of 1/2.

    A tag's penalty lowers it where people mention it less often than the slope and offset common to
    all tags predict. It is shrunk towards 0, and never negative: how often people mention hardly
    visible objects is a habit of the dataset that does not carry over to other images.
    """
    slope, offset, penalties = 1.0, 0.0, np.zeros(log_odds.shape[1])
    for _ in range(_FIT_STEPS):
        before = slope, offset, penalties
        p = logistic(slope * log_odds + offset - penalties)
        gradient, curvature = p - mentioned, p * (1 - p)
        mixed = (curvature * log_odds).sum()
        hessian = np.array([[(curvature * log_odds**2).sum(), mixed], [mixed, curvature.sum()]])
        step = np.linalg.solve(hessian, [(gradient * log_odds).sum(), gradient.sum()])
        slope, offset = slope - float(step[0]), offset - float(step[1])
        p = logistic(slope * log_odds + offset - penalties)
        descent = (p - mentioned).sum(axis=0) - _RIDGE * penalties
        penalties = np.maximum(penalties + descent / ((p * (1 - p)).sum(axis=0) + _RIDGE), 0)
        changes = [
            np.abs(new - old).max()
            for new, old in zip((slope, offset, penalties), before, strict=True)
        ]
        if max(changes) < _CONVERGED:
            break
    named = zip((kind.name for kind in tag_kinds()), penalties.tolist(), strict=True)
    return TagCalibration(
        slope=round(slope, 4),
        offset=round(offset, 4),
        penalties={name: round(penalty, 3) for name, penalty in named if penalty >= 0.001},
        threshold=0.5,
    )


def suppress_on_blank(calibration: TagCalibration, blank: Table) -> TagCalibration:
    """Raise penalties until no tag is shown for blank images.

    Args:
        calibration: A fitted calibration, with its threshold.
        blank: Uncalibrated log-odds of images without any object.
    """
    least = np.minimum(calibration.least, _SURE)
    highest = calibration.slope * blank.max(axis=0) + calibration.offsets
    excess = highest - (np.log(least) - np.log1p(-least)) + _BLANK_MARGIN
    penalties = dict(calibration.penalties)
    for index in np.flatnonzero(excess > 0):
        name = tag_kinds()[index].name
        penalties[name] = round(penalties.get(name, 0.0) + float(excess[index]), 3)
    return replace(calibration, penalties=penalties)


def fit_with_thresholds(
    evidence: Evidence, blank: Table, precision: float, folds: int = _FOLDS
) -> TagCalibration:
    """Fit a calibration with the thresholds that reach a precision.

    Args:
        evidence: What is known of the images.
        blank: Uncalibrated log-odds of images without any object; see `suppress_on_blank`.
        precision: Share of the tags shown that must be right.
        folds: The thresholds are found with each of so many parts calibrated by the others.
    """
    probabilities = np.empty_like(evidence.log_odds)
    for held_out in _folds(len(probabilities), folds):
        fitted = fit(*evidence.take(~held_out)[:2])
        probabilities[held_out] = fitted.probabilities(evidence.log_odds[held_out])
    default, own = find_thresholds(probabilities, *evidence[1:], precision)
    fitted = replace(fit(*evidence[:2]), threshold=default, thresholds=own)
    return suppress_on_blank(fitted, blank)


def cross_validate(evidence: Evidence, blank: Table, precision: float) -> tuple[Table, Mask]:
    """Calibrate each fold of the images with the fit on the others; see `fit_with_thresholds`.

    Returns:
        The probabilities before `suppress_on_blank`, and which tags are shown after it.
    """
    probabilities = np.empty_like(evidence.log_odds)
    shown = np.zeros_like(evidence.mentioned)
    for held_out in _folds(len(shown), _FOLDS):
        others, log_odds = evidence.take(~held_out), evidence.log_odds[held_out]
        calibration = fit_with_thresholds(others, blank, precision, _INNER_FOLDS)
        probabilities[held_out] = fit(*others[:2]).probabilities(log_odds)
        shown[held_out] = shown_tags(log_odds, calibration)
    return probabilities, shown


def _folds(images: int, count: int) -> Iterator[Mask]:
    """Yield which images are in each fold, [images]."""
    folds = np.random.default_rng(0).permutation(images) % count
    yield from (folds == fold for fold in range(count))


def shown_tags(log_odds: Table, calibration: TagCalibration) -> Mask:
    """Return whether each tag is shown for each image."""
    probabilities = calibration.probabilities(log_odds)
    shown = np.zeros(probabilities.shape, bool)
    for row, image in zip(shown, probabilities, strict=True):
        row[choose_tags(image, calibration.least)] = True
    return shown


def measure(log_odds: Table, probabilities: Table, shown: Mask, mentioned: Mask) -> TagFigures:
    """Measure probabilities, and the tags shown, against what people mention."""
    before = logistic(log_odds)
    commonest = int(shown.sum(axis=0).argmax())
    others = np.delete(shown, commonest, axis=1)
    return TagFigures(
        images=len(mentioned),
        tags=float(shown.sum(axis=1).mean()),
        coverage=float(shown.any(axis=1).mean()),
        precision=_precision(shown, mentioned),
        commonest=tag_kinds()[commonest].name if shown.any() else "",
        precision_without_commonest=_precision(others, np.delete(mentioned, commonest, axis=1)),
        ece_before=_ece(before, mentioned),
        ece=_ece(probabilities, mentioned),
        brier_before=_brier(before, mentioned),
        brier=_brier(probabilities, mentioned),
        log_loss_before=_log_loss(before, mentioned),
        log_loss=_log_loss(probabilities, mentioned),
    )


def measure_agreement(
    scores: NDArray[np.floating], published: NDArray[np.floating], calibration: TagCalibration
) -> Agreement:
    """Compare two classifiers' logits [N, CLASSES] of the same images."""
    logs, published_logs = _log_softmax(scores), _log_softmax(published)
    shown, published_shown = (
        shown_tags(read_log_odds(logits), calibration) for logits in (scores, published)
    )
    either = (shown | published_shown).sum()
    return Agreement(
        same_class=float((scores.argmax(axis=1) == published.argmax(axis=1)).mean()),
        divergence=float((np.exp(published_logs) * (published_logs - logs)).sum(axis=1).mean()),
        same_tags=float((shown & published_shown).sum() / either) if either else 1.0,
    )


class _Images:
    """The images of one dataset."""

    def __init__(self, folder: Path) -> None:
        self._dataset: Dataset = open_dataset(folder)
        splits = self._dataset.splits
        self.examples: list[Example] = [
            example
            for split in ([_SPLIT] if _SPLIT in splits else splits)
            for example in self._dataset.examples(split)
        ]

    def batches(self, side: int) -> Iterator[NDArray[np.uint8]]:
        for start in range(0, len(self.examples), _BATCH):
            part = self.examples[start : start + _BATCH]
            yield np.stack([resize_to_square(self._dataset.image(e.name), side) for e in part])


class _Classifier:
    """An encoder with its own classifier."""

    def __init__(self, encoder: keras.Model, classifier: keras.layers.Dense) -> None:
        self.side: int = encoder.input_shape[1]
        self.encoder = encoder
        self._classifier = classifier
        encoder.compile(jit_compile=False)

    def score(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the logits [N, CLASSES] of images [N, side, side, 3]."""
        grids = self.encoder.predict_on_batch(images.astype(np.float32))
        return np.asarray(ops.convert_to_numpy(self._classifier(grids.mean(axis=(1, 2)))))

    def score_all(self, sets: Sequence[_Images]) -> NDArray[np.float32]:
        """Return the logits of all images of the datasets."""
        total = sum(len(images.examples) for images in sets)
        with tqdm(total=total, desc="images", unit="image", mininterval=5) as progress:
            scores = []
            for images in sets:
                for batch in images.batches(self.side):
                    scores.append(self.score(batch))
                    progress.update(len(batch))
        return np.concatenate(scores)


def _published(network: _Classifier) -> _Classifier:
    """Return the same network with its published weights."""
    encoder = make_encoder(network.encoder.name, network.side)
    classifier = keras.layers.Dense(CLASSES)
    classifier.build((None, encoder.output_shape[-1]))
    load_pretrained(encoder, classifier, True)
    return _Classifier(encoder, classifier)


def _ece(probabilities: Table, mentioned: Mask) -> float:
    """Measure the tags that might be shown. All tags would include many certain absences."""
    top = np.argsort(-probabilities, axis=1)[:, :MAX_TAGS]
    return expected_calibration_error(
        np.take_along_axis(probabilities, top, axis=1).ravel(),
        np.take_along_axis(mentioned, top, axis=1).ravel(),
    )


def _precision(shown: Mask, mentioned: Mask) -> float:
    return float(mentioned[shown].mean()) if shown.any() else 0.0


def _brier(probabilities: Table, mentioned: Mask) -> float:
    return float(((probabilities - mentioned) ** 2).sum(axis=1).mean())


def _log_loss(probabilities: Table, mentioned: Mask) -> float:
    likelihoods = np.clip(np.where(mentioned, probabilities, 1 - probabilities), 1e-12, None)
    return float(-np.log(likelihoods).sum(axis=1).mean())


def _log_softmax(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    scores = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    return np.asarray(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))
