"""Summarise the measurements: means over images, with bootstrap confidence intervals."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.explanations.token_maps import LEARNED
from inference.faithfulness.measurement import CENTRE, RANDOM, MeasuredImage, MeasuredWord
from models.word_kinds import WordKind

RESAMPLES = 10_000
CONFIDENCE = 0.95
_BATCH = 500

Score = Callable[[MeasuredWord, str], float]
"""Computes the score of one word by a method or baseline."""

SCORES: dict[str, Score] = {
    "deletion": MeasuredWord.deletion_area,
    "insertion": MeasuredWord.insertion_area,
    "disappearance": lambda word, name: word.gone[name],
}

BETTER: dict[str, int] = {"deletion": -1, "insertion": 1, "disappearance": 1}
"""The sign of a difference in favour of a method."""

BASELINES = (RANDOM, CENTRE)

MIN_VERIFYING_IMAGES = 20
"""Bootstrap intervals of fewer images are too narrow to trust."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the sign of the mean is significant."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """One score of one method or baseline."""

    value: Interval
    against: dict[str, Interval]
    """Paired difference to each of `BASELINES`, image by image: score minus baseline."""

    def beats(self, score: str, *baselines: str) -> bool:
        """Return whether it is significantly better than some baselines; than all if none given."""
        sign = BETTER[score]
        against = [self.against[name] for name in baselines or self.against]
        return all(each.excludes_zero and sign * each.mean > 0 for each in against)


def mean_interval(values: NDArray[np.floating], seed: int = 0) -> Interval:
    """Compute the mean of independent values with its confidence interval.

    The percentile interval of Efron and Tibshirani, "An Introduction to the Bootstrap" (1993).

    Args:
        values: [N], at least one: one for each image.
        seed: Of the resamples.
    """
    random = np.random.default_rng(seed)
    means = np.concatenate(
        [
            values[random.integers(0, len(values), (_BATCH, len(values)))].mean(axis=1)
            for _ in range(RESAMPLES // _BATCH)
        ]
    )
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(values.mean()), float(low), float(high))


def summarise(
    images: Sequence[MeasuredImage], kind: WordKind
) -> dict[str, dict[str, ScoreSummary]]:
    """Summarise the words of a kind, by score and by method or baseline.

    All images have equal weight: an image's score is the mean over its words. Images without such
    a word are left out.

    Returns:
        Those of `SCORES` that apply to the kind; empty if there is no such word.
    """
    measured = _words_by_image(images, kind)
    if not measured:
        return {}
    names = list(measured[0][0].deletion)
    return {
        name: _summarise_score(measured, score, names)
        for name, score in SCORES.items()
        if name != "disappearance" or kind == "object"
    }


def verify(
    images: Sequence[MeasuredImage], among: Container[str], live: Container[str]
) -> list[str]:
    """Return which of some methods are more faithful than chance, the most faithful first.

    Those are the methods whose deletion and insertion areas of object words are both significantly
    better than those of random orders, by deletion area. Learned maps predict instead of computing,
    so they come last unless both of their areas are significantly better than those of each other
    live method that is verified.

    Args:
        images: The measurements.
        among: Names of the methods.
        live: Names of those that can be live.

    Raises:
        ValueError: If there are too few images with object words to tell.
    """
    measured = _words_by_image(images, "object")
    if len(measured) < MIN_VERIFYING_IMAGES:
        raise ValueError(
            f"{len(measured)} images with object words are too few to verify maps; measure at "
            f"least {MIN_VERIFYING_IMAGES}"
        )
    summaries = summarise(images, "object")
    methods = [name for name in measured[0][0].deletion if name in among]
    verified = [
        name
        for name in methods
        if all(summaries[score][name].beats(score, RANDOM) for score in ("deletion", "insertion"))
    ]
    ranked = sorted(verified, key=lambda name: summaries["deletion"][name].value.mean)
    rivals = [name for name in ranked if name in live and name != LEARNED]
    if LEARNED in ranked and not _beats_all(measured, rivals):
        ranked.remove(LEARNED)
        ranked.append(LEARNED)
    return ranked


def mean_curves(
    images: Sequence[MeasuredImage], kind: WordKind
) -> dict[str, dict[str, list[float]]]:
    """Average the curves of the words of a kind: by `deletion` and `insertion`, by method."""
    measured = _words_by_image(images, kind)
    if not measured:
        return {}
    return {
        direction: {
            name: _mean_curve(measured, direction, name) for name in measured[0][0].deletion
        }
        for direction in ("deletion", "insertion")
    }


def _beats_all(measured: Sequence[Sequence[MeasuredWord]], names: Sequence[str]) -> bool:
    """Return whether learned maps are significantly better than others, on both curves."""
    for score in ("deletion", "insertion"):
        learned = _image_scores(measured, SCORES[score], LEARNED)
        against = {
            name: mean_interval(learned - _image_scores(measured, SCORES[score], name))
            for name in names
        }
        if not ScoreSummary(mean_interval(learned), against).beats(score):
            return False
    return True


def _image_scores(
    measured: Sequence[Sequence[MeasuredWord]], score: Score, name: str
) -> NDArray[np.float64]:
    """Return the mean of a score over the words of each image: [images]."""
    return np.array([np.mean([score(word, name) for word in words]) for words in measured])


def _words_by_image(images: Sequence[MeasuredImage], kind: WordKind) -> list[list[MeasuredWord]]:
    """Return the words of a kind of each image that has some."""
    words = ([word for word in image.words if word.kind == kind] for image in images)
    return [each for each in words if each]


def _mean_curve(
    measured: Sequence[Sequence[MeasuredWord]], direction: str, name: str
) -> list[float]:
    by_image = [np.mean([getattr(word, direction)[name] for word in each], 0) for each in measured]
    points: list[float] = np.mean(by_image, axis=0).round(5).tolist()
    return points


def _summarise_score(
    measured: Sequence[Sequence[MeasuredWord]], score: Score, names: Sequence[str]
) -> dict[str, ScoreSummary]:
    values = {name: _image_scores(measured, score, name) for name in names}
    return {
        name: ScoreSummary(
            mean_interval(values[name]),
            {
                baseline: mean_interval(values[name] - values[baseline])
                for baseline in BASELINES
                if name not in BASELINES
            },
        )
        for name in names
    }
