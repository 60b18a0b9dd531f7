"""Fits and measures the confidence calibration of a captioner on a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from keras import KerasTensor
from numpy.typing import NDArray
from tqdm import tqdm

from models.calibration.confidence import (
    ConfidenceCalibration,
    confidence_features,
    expected_calibration_error,
    fit_logistic,
    is_mostly_right,
    rank_correlation,
)
from models.captioner import BeamConfig, BeamSearchModel, Captioner
from models.captioner.beam_search import beam_search
from models.datasets import Dataset, Example
from models.language import PAD, UNKNOWN, sentence
from models.metrics import cider_by_image
from models.preprocessing import resize_to_square

_BATCH = 32
_LENGTH = 20
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
    captioner: Captioner, beam: BeamConfig, dataset: Dataset, examples: Sequence[Example]
) -> tuple[ConfidenceCalibration, ConfidenceFigures]:
    """Fit a captioner's confidence on the examples, and measure such a fit by cross-validation."""
    predictions = _predict(captioner, beam, dataset, examples)
    names = [example.name for example in examples]
    captions = dict(zip(names, predictions.captions, strict=True))
    scores = cider_by_image(captions, {example.name: example.captions for example in examples})
    cider = np.array([scores[name] for name in names])
    right = np.array(
        [is_mostly_right(captions[example.name], example.captions) for example in examples]
    )
    words = _temper_words(predictions)
    everything = np.ones(len(examples), bool)
    return (
        _fit(predictions, words, right, cider, everything),
        _cross_validate(predictions, words, right, cider),
    )


class _Predictions(NamedTuple):
    """The captioner's captions, and its next-word predictions along the reference captions."""

    captions: list[str]
    features: NDArray[np.float64]
    """[N, len(CONFIDENCE_FEATURES)]"""
    logits: NDArray[np.float16]
    """[words, V], for all words of the reference captions, end tokens included."""
    words: NDArray[np.int32]
    """[words], the words of the reference captions."""
    images: NDArray[np.int32]
    """[words], the index of each word's image."""


class _SearchWithLogProbs(BeamSearchModel):
    def call(self, grid: KerasTensor) -> tuple[KerasTensor, ...]:
        found = beam_search(self.decoder, grid, self.beam)
        return found.tokens, found.search_log_probs


def _predict(
    captioner: Captioner, beam: BeamConfig, dataset: Dataset, examples: Sequence[Example]
) -> _Predictions:
    search = _SearchWithLogProbs(captioner.decoder, beam)
    captioner.encoder.compile(jit_compile=False)
    captioner.decoder.compile(jit_compile=False)
    captions, features, logits, words, images = [], [], [], [], []
    for start in tqdm(range(0, len(examples), _BATCH), desc="calibrate", unit="batch"):
        part = examples[start : start + _BATCH]
        side = captioner.config.image_size
        pixels = np.stack([resize_to_square(dataset.image(example.name), side) for example in part])
        grids = captioner.encoder.predict_on_batch(pixels.astype(np.float32))
        for ids, log_probs, grid in zip(*search.predict_on_batch(grids), grids, strict=True):
            captions.append(sentence(captioner.vocabulary.decode(ids)))
            features.append(confidence_features(log_probs[ids != PAD], grid))
        for index, (grid, example) in enumerate(zip(grids, part, strict=True), start=start):
            tokens = np.array([captioner.vocabulary.encode(t, _LENGTH) for t in example.captions])
            known = (tokens != PAD) & (tokens != UNKNOWN)
            predicted = captioner.decoder.predict_on_batch((grid[None], tokens[None]))[0]
            logits.append(predicted[known].astype(np.float16))
            words.append(tokens[known].astype(np.int32))
            images.append(np.full(known.sum(), index, np.int32))
    return _Predictions(
        captions,
        np.array(features),
        np.concatenate(logits),
        np.concatenate(words),
        np.concatenate(images),
    )


class _TemperedWords(NamedTuple):
    """Next-word predictions along the reference captions, at each of `_TEMPERATURES`."""

    probabilities: NDArray[np.float32]
    """[temperatures, words], the probability of the most probable word."""
    correct: NDArray[np.bool_]
    """[words], whether the most probable word is the reference word."""

    def log_loss(self, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Mean log loss, in nats, of predicting `correct` for the chosen words: [temperatures]."""
        p = np.clip(self.probabilities[:, chosen], 1e-6, 1 - 1e-6)
        correct = self.correct[chosen]
        return -np.asarray(np.where(correct, np.log(p), np.log1p(-p)).mean(axis=1), np.float64)


def _temper_words(predictions: _Predictions) -> _TemperedWords:
    probabilities = np.empty((len(_TEMPERATURES), len(predictions.words)), np.float32)
    for start in range(0, len(predictions.words), 2048):
        part = slice(start, start + 2048)
        logits = predictions.logits[part].astype(np.float32)
        top = logits.max(axis=-1)
        for index, temperature in enumerate(_TEMPERATURES):
            scaled = (logits - top[:, None]) / temperature
            probabilities[index, part] = 1 / np.exp(scaled).sum(axis=-1)
    return _TemperedWords(probabilities, predictions.logits.argmax(axis=-1) == predictions.words)


def _fit(
    predictions: _Predictions,
    words: _TemperedWords,
    right: NDArray[np.bool_],
    cider: NDArray[np.float64],
    chosen: NDArray[np.bool_],
) -> ConfidenceCalibration:
    """Fit on the chosen images."""
    temperature = int(words.log_loss(chosen[predictions.images]).argmin())
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
    words: _TemperedWords,
    right: NDArray[np.bool_],
    cider: NDArray[np.float64],
) -> ConfidenceFigures:
    """Measure each half of the images with the fit on the other half."""
    halves = np.arange(len(right)) % 2 == 0
    confidence = np.empty(len(right))
    threshold = np.empty(len(right))
    tempered = np.empty(len(predictions.words), np.float32)
    for half in (halves, ~halves):
        calibration = _fit(predictions, words, right, cider, ~half)
        confidence[half] = calibration.confidence(predictions.features[half])
        threshold[half] = calibration.threshold
        in_half = half[predictions.images]
        index = int(np.abs(_TEMPERATURES - calibration.temperature).argmin())
        tempered[in_half] = words.probabilities[index, in_half]
    untempered = words.probabilities[int(np.abs(_TEMPERATURES - 1).argmin())]
    low = confidence < threshold
    return ConfidenceFigures(
        words_ece_before=expected_calibration_error(untempered, words.correct),
        words_ece=expected_calibration_error(tempered, words.correct),
        confidence_ece=expected_calibration_error(confidence, right),
        confidence_cider=rank_correlation(confidence, cider),
        mean_log_prob_cider=rank_correlation(predictions.features[:, 0], cider),
        mostly_right=float(right.mean()),
        low_confidence=float(low.mean()),
        low_confidence_mostly_right=float(right[low].mean()) if low.any() else 0.0,
    )
