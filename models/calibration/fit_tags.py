"""Fits and measures the tag calibration of a captioner on datasets."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from tqdm import tqdm

from models.calibration.confidence import expected_calibration_error, logistic
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

_RIDGE = 3.0
"""Shrinks penalties: a tag needs several images without a mention before its penalty is large."""

_BLANK_MARGIN = 0.25
"""How far below the threshold a tag must be for blank images, in log-odds."""

_FIT_STEPS = 200
_CONVERGED = 1e-5

Table = NDArray[np.float64]
"""A number for each image and kind [N, len(tag_kinds())]."""

Mask = NDArray[np.bool_]
"""A truth value for each image and kind [N, len(tag_kinds())]."""


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
) -> tuple[TagCalibration, dict[str, dict[str, float]]]:
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
    probabilities, shown = cross_validate(log_odds, mentioned, blank, precision)
    threshold = round(find_threshold(probabilities, mentioned, precision), 3)
    fitted = replace(fit(log_odds, mentioned), threshold=threshold)
    calibration = suppress_on_blank(fitted, blank)

    report: dict[str, dict[str, float]] = {
        "calibration": {
            "slope": calibration.slope,
            "offset": calibration.offset,
            "threshold": calibration.threshold,
            "penalized_tags": len(calibration.penalties),
        }
    }
    ends = np.cumsum([len(images.examples) for images in sets])[:-1]
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
    threshold = calibration.threshold
    highest = calibration.slope * blank.max(axis=0) + calibration.offsets
    excess = highest - (np.log(threshold) - np.log1p(-threshold)) + _BLANK_MARGIN
    penalties = dict(calibration.penalties)
    for index in np.flatnonzero(excess > 0):
        name = tag_kinds()[index].name
        penalties[name] = round(penalties.get(name, 0.0) + float(excess[index]), 3)
    return replace(calibration, penalties=penalties)


def cross_validate(
    log_odds: Table, mentioned: Mask, blank: Table, precision: float
) -> tuple[Table, Mask]:
    """Calibrate each fold of the images with the fit on the others.

    Args:
        log_odds: Uncalibrated log-odds, from `read_log_odds`.
        mentioned: Whether people mention the kind.
        blank: Uncalibrated log-odds of images without any object; see `suppress_on_blank`.
        precision: Share of the tags shown that must be right.

    Returns:
        The probabilities before `suppress_on_blank`, and which tags are shown after it.
    """
    folds = np.random.default_rng(0).permutation(len(log_odds)) % _FOLDS
    fits = [fit(log_odds[folds != fold], mentioned[folds != fold]) for fold in range(_FOLDS)]
    probabilities = np.empty_like(log_odds)
    for fold, fitted in enumerate(fits):
        probabilities[folds == fold] = fitted.probabilities(log_odds[folds == fold])
    shown = np.zeros_like(mentioned)
    for fold, fitted in enumerate(fits):
        others = folds != fold
        threshold = find_threshold(probabilities[others], mentioned[others], precision)
        calibration = suppress_on_blank(replace(fitted, threshold=threshold), blank)
        shown[folds == fold] = shown_tags(log_odds[folds == fold], calibration)
    return probabilities, shown


def find_threshold(probabilities: Table, mentioned: Mask, precision: float) -> float:
    """Find the lowest threshold above which the tags reach a precision.

    Raises:
        ValueError: If there is none.
    """
    order = np.argsort(-probabilities, axis=None)
    right = np.cumsum(mentioned.ravel()[order])
    enough = np.flatnonzero(right >= precision * np.arange(1, len(order) + 1))
    if not len(enough):
        raise ValueError(f"no threshold gives a precision of {precision:.0%}; lower --precision")
    return float(probabilities.ravel()[order[enough[-1]]])


def shown_tags(log_odds: Table, calibration: TagCalibration) -> Mask:
    """Return whether each tag is shown for each image."""
    probabilities = calibration.probabilities(log_odds)
    shown = np.zeros(probabilities.shape, bool)
    for row, image in zip(shown, probabilities, strict=True):
        row[choose_tags(image, calibration.threshold)] = True
    return shown


def measure(log_odds: Table, probabilities: Table, shown: Mask, mentioned: Mask) -> TagFigures:
    """Measure probabilities, and the tags shown, against what people mention."""
    before = logistic(log_odds)
    return TagFigures(
        images=len(mentioned),
        tags=float(shown.sum(axis=1).mean()),
        coverage=float(shown.any(axis=1).mean()),
        precision=float(mentioned[shown].mean()) if shown.any() else 0.0,
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


def blank_images(side: int) -> NDArray[np.uint8]:
    """Make images without any object, uint8 [N, side, side, 3].

    Plain walls, walls lit from one side or from the front, and the noise of a camera in the dark.
    """
    down, across = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    shades = (0 * down, across, down, -across, -down, across + down, -(down**2) - across**2)
    colours = {(140, 140, 140): 80, (201, 190, 172): 25, (70, 80, 95): 25, (190, 60, 50): 25}
    walls = [
        np.array(colour) + contrast * shade[..., None]
        for colour, contrast in colours.items()
        for shade in shades
    ]
    random = np.random.default_rng(0)
    noise = [
        random.normal(mean, deviation, (side, side, 3))
        for mean, deviation in ((0, 0), (255, 0), (10, 3), (25, 6), (60, 10), (128, 20), (128, 80))
    ]
    return np.asarray(np.clip(walls + noise, 0, 255), np.uint8)


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


def _brier(probabilities: Table, mentioned: Mask) -> float:
    return float(((probabilities - mentioned) ** 2).sum(axis=1).mean())


def _log_loss(probabilities: Table, mentioned: Mask) -> float:
    likelihoods = np.clip(np.where(mentioned, probabilities, 1 - probabilities), 1e-12, None)
    return float(-np.log(likelihoods).sum(axis=1).mean())


def _log_softmax(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    scores = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    return np.asarray(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))
