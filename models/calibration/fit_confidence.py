"""Fits and measures the confidence calibration of a captioner on datasets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from models.calibration.blank import blank_images, is_blank
from models.calibration.confidence import (
    ConfidenceCalibration,
    confidence_features,
    is_mostly_right,
)
from models.calibration.likely_part import likely_part
from models.calibration.logistic import (
    area_under_curve,
    expected_calibration_error,
    fit_grouped_logistic,
    fit_logistic,
    rank_correlation,
)
from models.calibration.predictors import Prediction, Predictor
from models.calibration.word_confidence import CaptionEvidence, WordCalibration
from models.datasets import Dataset, Example
from models.language import sentence, stem
from models.lexicon import is_right, stated_stems
from models.metrics import cider_by_image

_BATCH = 32
_FOLDS = 5
_BLANK_SIDE = 260
_BLANK_PART = -1
"""In place of a dataset, of blank images."""

_TEMPERATURES = np.geomspace(0.5, 4.0, 43)

_LOW_CONFIDENCE = 0.1
"""Share of the captions that are below the threshold. The highest confidence below which few
captions are right depends on a handful of captions."""

_WORD_THRESHOLD = 0.5
"""The fallback keeps words that are more probably right than wrong."""

_SHRINKAGE = 3.0
"""Of the offset of a word: it needs several captions before it is large."""


@dataclass(frozen=True, slots=True)
class ConfidenceFigures:
    """Quality of a calibration on images that it was not fitted on."""

    images: int
    next_word_ece_before: float
    """Expected calibration error of the most probable next word, at temperature 1."""
    next_word_ece: float
    """The same at the fitted temperature."""
    words_right: float
    """Share of the content words of captions that are right."""
    word_ece: float
    """Expected calibration error of the confidence of content words."""
    word_ece_before: float
    """The same if the probability of the next word, at temperature 1, is taken for it."""
    word_auc: float
    """Probability that a right word has a higher confidence than a wrong one."""
    word_auc_before: float
    """The same for the probability of the next word."""
    confidence_ece: float
    """Expected calibration error of the confidence that a caption is mostly right."""
    confidence_auc: float
    """Probability that a caption that is mostly right has a higher confidence than another."""
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
    fallback: float
    """Share of those of which something is shown: tags, a beginning or objects."""
    fallback_without_tags: float
    """The same if there were no tags."""
    fallback_right: float
    """Share of the content words that are right of what would be shown without tags."""
    low_confidence_as_written: float
    """`low_confidence` with the calibration that is written, which was fitted on these images."""


@dataclass(frozen=True, slots=True)
class BlankFigures:
    """What happens to images without any object, with the fit on others."""

    images: int
    recognised: int
    """Those that are blank in the sense of `is_blank`, which have no caption at all."""
    low_confidence: int
    """Those of the others whose confidence is below the threshold."""


def fit_confidence(
    predictor: Predictor, dataset: Dataset, examples: Sequence[Example]
) -> tuple[ConfidenceCalibration, dict[int, ConfidenceFigures], BlankFigures]:
    """Fit a captioner's confidence on the examples, and measure such a fit by cross-validation.

    Every dataset counts the same in the fits of probabilities, whatever its number of images. Blank
    images, of which every caption is wrong, are fitted on too.

    Returns:
        The fit on all examples; the figures of each dataset among the combined ones, by its
        position, see `Dataset.part`; and those of blank images.
    """
    data = _Data(dataset, examples)
    for images, references in data.batches():
        for each in predictor.predict(images, references):
            data.add(each)
    calibration = _fit(data, np.ones(len(data.evidence), bool))
    held_out, next_word = _cross_validate(data)
    figures = {
        int(part): _measure(
            data, np.flatnonzero(data.parts == part), held_out, next_word, calibration
        )
        for part in np.unique(data.parts[data.parts != _BLANK_PART])
    }
    return calibration, figures, _measure_blank(data, held_out)


class _Data:
    """Images, the captioner's captions of them, and its predictions of reference captions."""

    def __init__(self, dataset: Dataset, examples: Sequence[Example]) -> None:
        self._dataset, self.examples = dataset, list(examples)
        self.blank = list(blank_images(_BLANK_SIDE))
        parts = [dataset.part(example.name) for example in examples]
        self.parts = np.array(parts + [_BLANK_PART] * len(self.blank))
        """[N], the dataset of each image."""
        kinds, of_kind, counts = np.unique(parts, return_inverse=True, return_counts=True)
        shares = len(parts) / len(kinds) / counts[of_kind]
        self.importance = np.append(shares, np.ones(len(self.blank)))
        """[N], how much each image counts."""
        self.references = [example.captions for example in examples] + [()] * len(self.blank)
        self.stated = [stated_stems(captions) for captions in self.references]
        self.evidence: list[CaptionEvidence] = []
        self._probabilities: list[NDArray[np.float32]] = []
        self._correct: list[NDArray[np.bool_]] = []

    def batches(self) -> Iterator[tuple[list[NDArray[np.uint8]], Sequence[Sequence[str]]]]:
        """Yield images with their reference captions."""
        count = len(self.examples)
        for start in tqdm(range(0, count, _BATCH), desc="calibrate", unit="batch"):
            part = self.examples[start : start + _BATCH]
            images = [self._dataset.image(example.name) for example in part]
            yield images, [example.captions for example in part]
        for start in range(0, len(self.blank), _BATCH):
            blank = self.blank[start : start + _BATCH]
            yield blank, [()] * len(blank)

    def add(self, prediction: Prediction) -> None:
        """Add the prediction of the next image."""
        self.evidence.append(prediction.evidence)
        # At once, as the logits of all images would not fit into memory.
        self._probabilities.append(_top_probabilities(prediction.logits))
        self._correct.append(prediction.logits.argmax(axis=-1) == prediction.tokens)

    @cached_property
    def captions(self) -> list[str]:
        """Of the images."""
        return [sentence(word.text for word in each.words) for each in self.evidence]

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """[N], whether each caption is mostly right."""
        pairs = zip(self.captions, self.references, strict=True)
        return np.array([is_mostly_right(*pair) for pair in pairs])

    @cached_property
    def words_right(self) -> list[NDArray[np.bool_]]:
        """Whether each content word of each caption is right."""
        return [
            np.array([is_right(each.words[place].text, stated) for place in each.content], bool)
            for each, stated in zip(self.evidence, self.stated, strict=True)
        ]

    @cached_property
    def cider(self) -> NDArray[np.float64]:
        """[examples], CIDEr-D of each caption; its document frequencies are those of a dataset."""
        scores = np.zeros(len(self.examples))
        for part in np.unique(self.parts[: len(scores)]):
            places = np.flatnonzero(self.parts == part)
            names = [self.examples[place].name for place in places]
            found = cider_by_image(
                {name: self.captions[place] for name, place in zip(names, places, strict=True)},
                {name: self.references[place] for name, place in zip(names, places, strict=True)},
            )
            scores[places] = [found[name] for name in names]
        return scores

    @cached_property
    def tokens(self) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64]]:
        """The tokens of the reference captions.

        The probability of the most probable token at each temperature [temperatures, tokens];
        whether that is the token [tokens]; and its image [tokens].
        """
        counts = [len(each) for each in self._correct]
        images = np.repeat(np.arange(len(counts)), counts)
        return np.concatenate(self._probabilities, axis=1), np.concatenate(self._correct), images


def _top_probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probability of the most probable token: [temperatures, tokens]."""
    if not len(logits):
        return np.empty((len(_TEMPERATURES), 0), np.float32)
    below = logits - logits.max(axis=-1, keepdims=True)
    return np.stack([1 / np.exp(below / each).sum(axis=-1) for each in _TEMPERATURES])


def _fit(data: _Data, chosen: NDArray[np.bool_]) -> ConfidenceCalibration:
    """Fit on the chosen images."""
    words = _fit_words(data, chosen)
    features = np.array(
        [confidence_features(each, words.confidence(each)) for each in data.evidence]
    )
    *weights, offset = fit_logistic(features[chosen], data.right[chosen], data.importance[chosen])
    calibration = ConfidenceCalibration(
        temperature=round(float(_TEMPERATURES[_fit_temperature(data, chosen)]), 3),
        words=words,
        weights=tuple(map(float, weights)),
        offset=float(offset),
        threshold=0.0,
        word_threshold=_WORD_THRESHOLD,
    )
    pictures = chosen & (data.parts != _BLANK_PART)
    confidences = [
        calibration.assess(each).confidence
        for each, is_chosen in zip(data.evidence, pictures, strict=True)
        if is_chosen
    ]
    return replace(calibration, threshold=float(np.quantile(confidences, _LOW_CONFIDENCE)))


def _fit_words(data: _Data, chosen: NDArray[np.bool_]) -> WordCalibration:
    images = [
        (each, right, importance)
        for each, right, importance, is_chosen in zip(
            data.evidence, data.words_right, data.importance, chosen, strict=True
        )
        if is_chosen
    ]
    stems = [stem(each.words[place].text) for each, *_ in images for place in each.content]
    names, groups = np.unique(stems, return_inverse=True)
    (*weights, offset), offsets = fit_grouped_logistic(
        np.concatenate([each.word_features() for each, *_ in images]),
        np.concatenate([right for _, right, _ in images]),
        groups,
        _SHRINKAGE,
        np.concatenate([np.full(len(right), importance) for _, right, importance in images]),
    )
    rounded = zip(names.tolist(), np.round(offsets, 2).tolist(), strict=True)
    return WordCalibration(
        tuple(map(float, weights)), float(offset), {name: each for name, each in rounded if each}
    )


def _fit_temperature(data: _Data, chosen: NDArray[np.bool_]) -> int:
    """Return the index of the temperature with the least log loss of predicting `correct`."""
    probabilities, correct, images = data.tokens
    of_chosen = chosen[images]
    p = np.clip(probabilities[:, of_chosen], 1e-6, 1 - 1e-6)
    likelihoods = np.where(correct[of_chosen], np.log(p), np.log1p(-p)).mean(axis=1)
    return int(likelihoods.argmax())


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """An image as it is assessed by the fit on others."""

    confidence: float
    low: bool
    words: NDArray[np.float64]
    """The confidence of its content words."""
    kept: NDArray[np.intp]
    """Those that would be shown without tags if the confidence is low."""


def _cross_validate(data: _Data) -> tuple[list[_HeldOut], NDArray[np.float32]]:
    """Assess each fold of the images with the fit on the others.

    Returns:
        The assessments, and the probability of the most probable token of `_Data.tokens` at the
        temperature of that fit, [tokens].
    """
    folds = np.random.default_rng(0).permutation(len(data.evidence)) % _FOLDS
    probabilities, _, images = data.tokens
    found: dict[int, _HeldOut] = {}
    tempered = np.empty(len(images), np.float32)
    for fold in range(_FOLDS):
        calibration = _fit(data, folds != fold)
        for place in np.flatnonzero(folds == fold).tolist():
            found[place] = _assess(calibration, data.evidence[place])
        index = int(np.abs(_TEMPERATURES - calibration.temperature).argmin())
        in_fold = folds[images] == fold
        tempered[in_fold] = probabilities[index, in_fold]
    return [found[place] for place in range(len(folds))], tempered


def _assess(calibration: ConfidenceCalibration, evidence: CaptionEvidence) -> _HeldOut:
    confidence, words = calibration.assess(evidence)
    texts = [word.text for word in evidence.words]
    kept = set(likely_part(texts, words, calibration.word_threshold).places)
    return _HeldOut(
        confidence,
        confidence < calibration.threshold,
        np.array([each for each in words if each is not None]),
        np.flatnonzero([place in kept for place in evidence.content]),
    )


def _measure(
    data: _Data,
    places: NDArray[np.intp],
    assessed: Sequence[_HeldOut],
    tempered: NDArray[np.float32],
    written: ConfidenceCalibration,
) -> ConfidenceFigures:
    """Measure the images of a dataset; see `_cross_validate`."""
    probabilities, correct, images = data.tokens
    tokens = np.isin(images, places)
    untempered = probabilities[int(np.abs(_TEMPERATURES - 1).argmin())]
    held_out = [assessed[place] for place in places]
    evidence = [data.evidence[place] for place in places]
    words_right = [data.words_right[place] for place in places]
    right, cider = data.right[places], data.cider[places]
    confidence = np.array([each.confidence for each in held_out])
    low = np.array([each.low for each in held_out])
    word_confidence = np.concatenate([each.words for each in held_out])
    word_right = np.concatenate(words_right)
    probs = [each.words[place].log_prob for each in evidence for place in each.content]
    doubted = np.flatnonzero(low).tolist()
    kept = [held_out[place].kept for place in doubted]
    shown = [
        bool(len(part) or evidence[place].tags) for part, place in zip(kept, doubted, strict=True)
    ]
    shown_right = [words_right[place][part] for part, place in zip(kept, doubted, strict=True)]
    low_as_written = [written.assess(each).confidence < written.threshold for each in evidence]
    return ConfidenceFigures(
        images=len(places),
        next_word_ece_before=expected_calibration_error(untempered[tokens], correct[tokens]),
        next_word_ece=expected_calibration_error(tempered[tokens], correct[tokens]),
        words_right=float(word_right.mean()),
        word_ece=expected_calibration_error(word_confidence, word_right),
        word_ece_before=expected_calibration_error(np.exp(probs), word_right),
        word_auc=area_under_curve(word_confidence, word_right),
        word_auc_before=area_under_curve(np.array(probs), word_right),
        confidence_ece=expected_calibration_error(confidence, right),
        confidence_auc=area_under_curve(confidence, right),
        confidence_cider=rank_correlation(confidence, cider),
        mean_log_prob_cider=rank_correlation(
            np.array([each.mean_log_prob for each in evidence]), cider
        ),
        mostly_right=float(right.mean()),
        low_confidence=float(low.mean()),
        low_confidence_mostly_right=_mean(right[low]),
        fallback=_mean(shown),
        fallback_without_tags=_mean([len(part) > 0 for part in kept]),
        fallback_right=_mean(np.concatenate([*shown_right, np.empty(0, bool)])),
        low_confidence_as_written=_mean(low_as_written),
    )


def _measure_blank(data: _Data, held_out: Sequence[_HeldOut]) -> BlankFigures:
    recognised = [is_blank(image) for image in data.blank]
    low = [each.low for each in held_out[len(data.examples) :]]
    others = [is_low for is_low, known in zip(low, recognised, strict=True) if not known]
    return BlankFigures(len(recognised), sum(recognised), sum(others))


def _mean(values: Sequence[bool] | NDArray[np.bool_]) -> float:
    return float(np.mean(values)) if len(values) else 0.0
