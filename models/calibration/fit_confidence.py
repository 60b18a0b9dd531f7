"""TODO."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import keras
import numpy as np
from keras import KerasTensor
from numpy.typing import NDArray
from tqdm import tqdm

from models.calibration.confidence import (
    Doubt,
    evidence,
    expected_calibration_error,
    fit_logistic,
    is_mostly_right,
    rank_correlation,
)
from models.captioner import BeamConfig, Captioner, Decoder
from models.captioner.beam_search import beam_search
from models.datasets import Dataset, Example
from models.evaluation import cider_by_image
from models.language import PAD, UNKNOWN, sentence
from models.preprocessing import squeeze

_BATCH = 32
_LENGTH = 20
_TEMPERATURES = np.geomspace(0.5, 4.0, 43)
_DOUBTFUL = 1 / 5
"""A caption is not said if captions as doubtful are mostly right less often than this."""

_BEGINNING = 0.25


class _Heard(NamedTuple):
    """What the captioner said of the pictures, and what it thought of the human captions."""

    captions: list[str]
    evidence: NDArray[np.float64]
    """[N, len(EVIDENCE)]"""
    logits: NDArray[np.float16]
    """[words, V], of all words that people wrote, their ends included."""
    words: NDArray[np.int32]
    """[words]"""
    pictures: NDArray[np.int32]
    """[words], which picture each is of."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How well a calibration holds on pictures that it was not fitted on."""

    words_ece_before: float
    """Expected calibration error of the likeliest next word, at temperature 1."""
    words_ece: float
    """The same at the fitted temperature."""
    confidence_ece: float
    """Expected calibration error of the confidence that a caption is mostly right."""
    confidence_cider: float
    """Rank correlation of the confidence with the caption's CIDEr-D."""
    mean_log_prob_cider: float
    """The same of the mean log-probability alone, uncalibrated."""
    mostly_right: float
    """Share of the captions that are."""
    doubtful: float
    """Share of the captions whose confidence is under the threshold."""
    doubtful_mostly_right: float
    """Share of those that are mostly right all the same."""


class _Search(keras.Model):  # type: ignore[misc]  # Keras has no types.
    def __init__(self, decoder: Decoder, beam: BeamConfig) -> None:
        super().__init__(name="search")
        self.decoder, self._beam = decoder, beam
        self.compile(jit_compile=False)

    def call(self, grids: KerasTensor) -> tuple[KerasTensor, ...]:
        found = beam_search(self.decoder, grids, self._beam)
        return found.tokens, found.search_log_probs


def calibrate(
    captioner: Captioner, beam: BeamConfig, dataset: Dataset, examples: Sequence[Example]
) -> tuple[Doubt, Figures]:
    """Fit a captioner's doubt on the examples, and measure how well such a fit holds."""
    heard = _listen(captioner, beam, dataset, examples)
    names = [example.name for example in examples]
    said = dict(zip(names, heard.captions, strict=True))
    scores = cider_by_image(said, {example.name: example.captions for example in examples})
    cider = np.array([scores[name] for name in names])
    right = np.array(
        [is_mostly_right(said[example.name], example.captions) for example in examples]
    )
    words = _read_words(heard)
    everything = np.ones(len(examples), bool)
    return _fit(heard, words, right, cider, everything), _measure(heard, words, right, cider)


def _listen(
    captioner: Captioner, beam: BeamConfig, dataset: Dataset, examples: Sequence[Example]
) -> _Heard:
    search = _Search(captioner.decoder, replace(beam, alternatives=0))
    captioner.encoder.compile(jit_compile=False)
    captioner.decoder.compile(jit_compile=False)
    captions, proofs, logits, words, pictures = [], [], [], [], []
    for start in tqdm(range(0, len(examples), _BATCH), desc="calibrate", unit="batch"):
        part = examples[start : start + _BATCH]
        side = captioner.config.image_size
        images = np.stack([squeeze(dataset.image(example.name), side) for example in part])
        grids = captioner.encoder.predict_on_batch(images.astype(np.float32))
        for ids, log_probs, grid in zip(*search.predict_on_batch(grids), grids, strict=True):
            captions.append(sentence(captioner.vocabulary.decode(ids)))
            proofs.append(evidence(log_probs[ids != PAD], grid))
        for index, (grid, example) in enumerate(zip(grids, part, strict=True), start=start):
            human = np.array([captioner.vocabulary.encode(t, _LENGTH) for t in example.captions])
            known = (human != PAD) & (human != UNKNOWN)
            thought = captioner.decoder.predict_on_batch((grid[None], human[None]))[0]
            logits.append(thought[known].astype(np.float16))
            words.append(human[known].astype(np.int32))
            pictures.append(np.full(known.sum(), index, np.int32))
    return _Heard(
        captions,
        np.array(proofs),
        np.concatenate(logits),
        np.concatenate(words),
        np.concatenate(pictures),
    )


class _Words(NamedTuple):
    """What each word that people wrote is worth at each of `_TEMPERATURES`."""

    likeliest: NDArray[np.float32]
    """[temperatures, words], the probability of the likeliest word in its place."""
    guessed: NDArray[np.bool_]
    """[words], whether the likeliest word is the one."""

    def surprise(self, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """How badly each temperature tells whether the likeliest is the one, in nats."""
        p = np.clip(self.likeliest[:, chosen], 1e-6, 1 - 1e-6)
        guessed = self.guessed[chosen]
        return -np.asarray(np.where(guessed, np.log(p), np.log1p(-p)).mean(axis=1), np.float64)


def _read_words(heard: _Heard) -> _Words:
    likeliest = np.empty((len(_TEMPERATURES), len(heard.words)), np.float32)
    for start in range(0, len(heard.words), 2048):
        part = slice(start, start + 2048)
        logits = heard.logits[part].astype(np.float32)
        top = logits.max(axis=-1)
        for index, temperature in enumerate(_TEMPERATURES):
            likeliest[index, part] = 1 / np.exp((logits - top[:, None]) / temperature).sum(axis=-1)
    return _Words(likeliest, heard.logits.argmax(axis=-1) == heard.words)


def _fit(
    heard: _Heard,
    words: _Words,
    right: NDArray[np.bool_],
    cider: NDArray[np.float64],
    chosen: NDArray[np.bool_],
) -> Doubt:
    """Fit on the chosen pictures."""
    temperature = int(words.surprise(chosen[heard.pictures]).argmin())
    # What ranks captions by their score, then what makes a probability of that rank.
    design = np.column_stack([heard.evidence, np.ones(len(chosen))])
    ranking = np.linalg.lstsq(design[chosen], np.sqrt(cider[chosen]), rcond=None)[0]
    slope, offset = fit_logistic((design @ ranking)[chosen, None], right[chosen])
    doubt = Doubt(
        temperature=round(float(_TEMPERATURES[temperature]), 3),
        weights=tuple(float(weight * slope) for weight in ranking[:-1]),
        offset=float(ranking[-1] * slope + offset),
        threshold=0.0,
        beginning=_BEGINNING,
    )
    confidence = doubt.confidence(heard.evidence[chosen])
    return replace(doubt, threshold=_threshold(confidence, right[chosen]))


def _threshold(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """The highest confidence under which less than `_DOUBTFUL` of the captions are right."""
    order = np.argsort(confidence)
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    # The first few captions tell nothing.
    under = np.flatnonzero((shares < _DOUBTFUL) & (np.arange(len(order)) >= 10))
    return float(confidence[order[under[-1]]]) if len(under) else 0.0


def _measure(
    heard: _Heard, words: _Words, right: NDArray[np.bool_], cider: NDArray[np.float64]
) -> Figures:
    """Measure each half of the pictures with the fit of the other half."""
    halves = np.arange(len(right)) % 2 == 0
    confidence = np.empty(len(right))
    threshold = np.empty(len(right))
    tempered = np.empty(len(heard.words), np.float32)
    for half in (halves, ~halves):
        doubt = _fit(heard, words, right, cider, ~half)
        confidence[half] = doubt.confidence(heard.evidence[half])
        threshold[half] = doubt.threshold
        its_words = half[heard.pictures]
        index = int(np.abs(_TEMPERATURES - doubt.temperature).argmin())
        tempered[its_words] = words.likeliest[index, its_words]
    untempered = words.likeliest[int(np.abs(_TEMPERATURES - 1).argmin())]
    doubtful = confidence < threshold
    return Figures(
        words_ece_before=expected_calibration_error(untempered, words.guessed),
        words_ece=expected_calibration_error(tempered, words.guessed),
        confidence_ece=expected_calibration_error(confidence, right),
        confidence_cider=rank_correlation(confidence, cider),
        mean_log_prob_cider=rank_correlation(heard.evidence[:, 0], cider),
        mostly_right=float(right.mean()),
        doubtful=float(doubtful.mean()),
        doubtful_mostly_right=float(right[doubtful].mean()) if doubtful.any() else 0.0,
    )
