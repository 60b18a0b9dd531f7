"""How far a mean can be trusted: bootstrap confidence intervals over pictures.

From measured pictures to figures: means over pictures, with how far they can be trusted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.faithfulness.measurement import CENTRE, RANDOM, MeasuredPicture, MeasuredWord
from inference.word_kinds import WordKind

RESAMPLES = 10_000
_CONFIDENCE = 0.95
_BATCH = 500

Score = Callable[[MeasuredWord, str], float]
"""A figure of one word by a method or baseline."""

SCORES: dict[str, Score] = {
    "deletion": MeasuredWord.deletion_area,
    "insertion": MeasuredWord.insertion_area,
    "disappearance": lambda word, name: word.gone[name],
}

BETTER: dict[str, int] = {"deletion": -1, "insertion": 1, "disappearance": 1}
"""The sign of a difference that is in a method's favour."""

BASELINES = (RANDOM, CENTRE)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the sign of the mean is beyond doubt."""
        return self.low > 0 or self.high < 0


def mean_interval(values: NDArray[np.floating], seed: int = 0) -> Interval:
    """Tell the mean of independent values and how far another sample's may be from it.

    The percentile interval of Efron and Tibshirani, "An Introduction to the Bootstrap" (1993).

    Args:
        values: [N], one at least: of one picture each.
        seed: Of the resamples.
    """
    random = np.random.default_rng(seed)
    means = np.concatenate(
        [
            values[random.integers(0, len(values), (_BATCH, len(values)))].mean(axis=1)
            for _ in range(RESAMPLES // _BATCH)
        ]
    )
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(values.mean()), float(low), float(high))


@dataclass(frozen=True, slots=True)
class Figures:
    """One score of one method or baseline."""

    value: Interval
    against: dict[str, Interval]
    """What each of `BASELINES` is to be added to, picture by picture: value less baseline."""

    def beats(self, score: str) -> bool:
        """Whether it is better than every baseline, beyond doubt."""
        sign = BETTER[score]
        return all(each.excludes_zero and sign * each.mean > 0 for each in self.against.values())


def summarise(pictures: Sequence[MeasuredPicture], kind: WordKind) -> dict[str, dict[str, Figures]]:
    """Summarise the words of a kind, by score and by method or baseline.

    Each picture counts the same: its figure is the mean over its words. Pictures without such a
    word are left out.

    Returns:
        `SCORES` that the words have; nothing if there is no such word.
    """
    told = [words for picture in pictures if (words := _of(picture, kind))]
    if not told:
        return {}
    names = list(told[0][0].deletion)
    return {
        score: _figures(told, of, names)
        for score, of in SCORES.items()
        if score != "disappearance" or kind == "object"
    }


def mean_curves(
    pictures: Sequence[MeasuredPicture], kind: WordKind
) -> dict[str, dict[str, list[float]]]:
    """Average the curves of the words of a kind: by `deletion` and `insertion`, by method."""
    told = [words for picture in pictures if (words := _of(picture, kind))]
    if not told:
        return {}
    return {
        direction: {
            name: np.mean(
                [np.mean([getattr(word, direction)[name] for word in words], 0) for words in told],
                axis=0,
            )
            .round(5)
            .tolist()
            for name in told[0][0].deletion
        }
        for direction in ("deletion", "insertion")
    }


def _of(picture: MeasuredPicture, kind: WordKind) -> list[MeasuredWord]:
    return [word for word in picture.words if word.kind == kind]


def _figures(
    told: Sequence[Sequence[MeasuredWord]], of: Score, names: Sequence[str]
) -> dict[str, Figures]:
    values = {
        name: np.array([np.mean([of(word, name) for word in words]) for words in told])
        for name in names
    }
    return {
        name: Figures(
            mean_interval(values[name]),
            {other: mean_interval(values[name] - values[other]) for other in _others(name)},
        )
        for name in names
    }


def _others(name: str) -> list[str]:
    return [] if name in BASELINES else list(BASELINES)
