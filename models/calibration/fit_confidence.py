"""Fits and measures the confidence calibration of a captioner on a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from models.calibration.confidence import (
    ConfidenceCalibration,
    expected_calibration_error,
    fit_logistic,
    is_mostly_right,
    rank_correlation,
)
from models.calibration.predictors import Predictor
from models.datasets import Dataset, Example
from models.metrics import cider_by_image

_BATCH = 32
_TEMPERATURES = np.geomspace(0.5, 4.0, 43)
_LOW_CONFIDENCE = 1 / 5
"""The threshold is chosen so that fewer than this share of the captions below it are mostly
right."""

_PREFIX_THRESHOLD = 0.25


@dataclass(frozen=True, slots=True)
class ConfidenceFigures:
    """Quality of a calibration on images that it was not fitted on."""

    words_ece_before: float
    """Expected calibration error of the most probable next word, at temperature 1."""
    words_ece: float
    """The same at the fitted temperature."""
    confidence_ece: float
    """Expected calibration error of the confidence that a caption is mostly right."""
    confidence_cider: float
    """Rank correlation of the confidence with the caption's CIDEr-D."""
    mean_log_prob_cider: float
    """The same for the uncalibrated mean log-probability."""
    mostly_right: float
    """Share of the captions that are mostly right."""
    low_confidence: float
    """Share of the captions whose confidence is below the threshold."""
    low_confidence_mostly_right: float
    """Share of those that are mostly right nevertheless."""


def fit_confidence(
    predictor: Predictor, dataset: Dataset, examples: Sequence[Example]
) -> tuple[ConfidenceCalibration, dict[int, ConfidenceFigures]]:
    """Fit a captioner's confidence on the examples, and measure such a fit by cross-validation.

    Returns:
        The fit on all examples; and the figures of each dataset among the combined ones, by its
        position, see `Dataset.part`.
    """
    predictions = _predict(predictor, dataset, examples)
    parts = np.array([dataset.part(example.name) for example in examples])
    captions = {e.name: text for e, text in zip(examples, predictions.captions, strict=True)}
    references = {each.name: each.captions for each in examples}
    scores: dict[str, float] = {}
    for part in np.unique(parts):
        # The document frequencies of CIDEr are those of one dataset.
        names = [each.name for each, its in zip(examples, parts, strict=True) if its == part]
        scores |= cider_by_image({name: captions[name] for name in names}, references)
    cider = np.array([scores[example.name] for example in examples])
    right = np.array(
        [is_mostly_right(captions[example.name], example.captions) for example in examples]
    )
    everything = np.ones(len(examples), bool)
    return (
        _fit(predictions, right, cider, everything),
        _cross_validate(predictions, right, cider, parts),
    )


class _Predictions(NamedTuple):
    """The captioner's captions, and its next-token predictions along the reference captions."""

    captions: list[str]
    features: NDArray[np.float64]
    """[N, len(CONFIDENCE_FEATURES)]"""
    probabilities: NDArray[np.float32]
    """[temperatures, tokens], the probability of the most probable token at each of
    `_TEMPERATURES`."""
    correct: NDArray[np.bool_]
    """[tokens], whether the most probable token is that of the reference caption."""
    images: NDArray[np.int32]
    """[tokens], the index of each token's image."""

    def log_loss(self, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Mean log loss, in nats, of predicting `correct` for the chosen tokens: [temperatures]."""
        p = np.clip(self.probabilities[:, chosen], 1e-6, 1 - 1e-6)
        correct = self.correct[chosen]
        return -np.asarray(np.where(correct, np.log(p), np.log1p(-p)).mean(axis=1), np.float64)


def _predict(predictor: Predictor, dataset: Dataset, examples: Sequence[Example]) -> _Predictions:
    captions, features, probabilities, correct, counts = [], [], [], [], []
    for start in tqdm(range(0, len(examples), _BATCH), desc="calibrate", unit="batch"):
        part = examples[start : start + _BATCH]
        images = [dataset.image(example.name) for example in part]
        for each in predictor.predict(images, [example.captions for example in part]):
            captions.append(each.caption)
            features.append(each.features)
            # At once, as the logits of all images would not fit into memory.
            probabilities.append(_top_probabilities(each.logits))
            correct.append(each.logits.argmax(axis=-1) == each.tokens)
            counts.append(len(each.tokens))
    return _Predictions(
        captions,
        np.array(features),
        np.concatenate(probabilities, axis=1),
        np.concatenate(correct),
        np.repeat(np.arange(len(counts), dtype=np.int32), counts),
    )


def _top_probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probability of the most probable token: [temperatures, tokens]."""
    below = logits - logits.max(axis=-1, keepdims=True)
    return np.stack([1 / np.exp(below / each).sum(axis=-1) for each in _TEMPERATURES])


def _fit(
    predictions: _Predictions,
    right: NDArray[np.bool_],
    cider: NDArray[np.float64],
    chosen: NDArray[np.bool_],
) -> ConfidenceCalibration:
    """Fit on the chosen images."""
    temperature = int(predictions.log_loss(chosen[predictions.images]).argmin())
    # First rank captions by their expected score, then turn the rank into a probability.
    design = np.column_stack([predictions.features, np.ones(len(chosen))])
    ranking = np.linalg.lstsq(design[chosen], np.sqrt(cider[chosen]), rcond=None)[0]
    slope, offset = fit_logistic((design @ ranking)[chosen, None], right[chosen])
    calibration = ConfidenceCalibration(
        temperature=round(float(_TEMPERATURES[temperature]), 3),
        weights=tuple(float(weight * slope) for weight in ranking[:-1]),
        offset=float(ranking[-1] * slope + offset),
        threshold=0.0,
        prefix_threshold=_PREFIX_THRESHOLD,
    )
    confidence = calibration.confidence(predictions.features[chosen])
    return replace(calibration, threshold=_find_threshold(confidence, right[chosen]))


def _find_threshold(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Find the highest confidence below which less than `_LOW_CONFIDENCE` are mostly right."""
    order = np.argsort(confidence)
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    # The shares of the first few captions are too noisy to use.
    under = np.flatnonzero((shares < _LOW_CONFIDENCE) & (np.arange(len(order)) >= 10))
    return float(confidence[order[under[-1]]]) if len(under) else 0.0


def _cross_validate(
    predictions: _Predictions,
    right: NDArray[np.bool_],
    cider: NDArray[np.float64],
    parts: NDArray[np.int64],
) -> dict[int, ConfidenceFigures]:
    """Measure each half of the images with the fit on the other half; by dataset."""
    halves = np.arange(len(right)) % 2 == 0
    confidence = np.empty(len(right))
    threshold = np.empty(len(right))
    tempered = np.empty(len(predictions.correct), np.float32)
    for half in (halves, ~halves):
        calibration = _fit(predictions, right, cider, ~half)
        confidence[half] = calibration.confidence(predictions.features[half])
        threshold[half] = calibration.threshold
        in_half = half[predictions.images]
        index = int(np.abs(_TEMPERATURES - calibration.temperature).argmin())
        tempered[in_half] = predictions.probabilities[index, in_half]
    untempered = predictions.probabilities[int(np.abs(_TEMPERATURES - 1).argmin())]
    low = confidence < threshold

    def figures(part: NDArray[np.bool_]) -> ConfidenceFigures:
        words = part[predictions.images]
        correct, hidden = predictions.correct[words], part & low
        return ConfidenceFigures(
            words_ece_before=expected_calibration_error(untempered[words], correct),
            words_ece=expected_calibration_error(tempered[words], correct),
            confidence_ece=expected_calibration_error(confidence[part], right[part]),
            confidence_cider=rank_correlation(confidence[part], cider[part]),
            mean_log_prob_cider=rank_correlation(predictions.features[part, 0], cider[part]),
            mostly_right=float(right[part].mean()),
            low_confidence=float(low[part].mean()),
            low_confidence_mostly_right=float(right[hidden].mean()) if hidden.any() else 0.0,
        )

    return {int(part): figures(parts == part) for part in np.unique(parts)}
