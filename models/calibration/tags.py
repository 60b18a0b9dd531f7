"""Object tags: objects in an image, whether or not its caption mentions them.

An encoder that was trained on ImageNet distinguishes 1,000 classes of objects, most of which are in
no caption that the decoder was trained on. A tag is an everyday name for one or more classes. The
log-odds of the sum of their probabilities are calibrated by Platt scaling (Platt, "Probabilistic
Outputs for Support Vector Machines", 1999) to the probability that at least one of five people who
describe the image mentions the object. Objects that people see but do not mention count as absent,
so a tag's probability is too low rather than too high.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

import keras
import numpy as np
from keras import KerasTensor, ops
from numpy.typing import NDArray

from models.calibration.logistic import logistic
from models.encoders import CLASSES
from models.language import tokenize
from models.tag_kinds import tag_kinds

MAX_TAGS = 5
"""Maximum number of tags of an image."""

_TINY = 1e-30


@dataclass(frozen=True, slots=True)
class TagCalibration:
    """Calibration of a captioner's tags, as `python -m models.calibrate --tags` fits it.

    The calibrated log-odds of a tag are slope * raw log-odds + offset - the tag's penalty.
    """

    slope: float
    offset: float
    penalties: dict[str, float]
    """Above 0, by tag, for tags that the classifier sees more often than people mention them."""
    threshold: float
    """Tags with a lower probability are not shown."""
    thresholds: dict[str, float] = field(default_factory=dict)
    """In place of `threshold`, by tag; 1 for tags that are never shown."""

    def __post_init__(self) -> None:
        named = self.penalties.keys() | self.thresholds.keys()
        if unknown := named - {kind.name for kind in tag_kinds()}:
            raise ValueError(
                f"there is no tag {min(unknown)!r}; run python -m models.calibrate --tags again"
            )
        if not (
            self.slope > 0
            and 0 < self.threshold < 1
            and all(0 < each <= 1 for each in self.thresholds.values())
            and min(self.penalties.values(), default=0) >= 0
        ):
            raise ValueError(
                "a tag calibration needs a slope above 0, thresholds between 0 and 1, and no "
                "penalty below 0"
            )

    @property
    def offsets(self) -> NDArray[np.float32]:
        """The offset minus the penalty of every kind, [len(tag_kinds())]."""
        penalties = [self.penalties.get(kind.name, 0.0) for kind in tag_kinds()]
        return np.array(self.offset - np.array(penalties), np.float32)

    @property
    def least(self) -> NDArray[np.float64]:
        """The threshold of every kind, [len(tag_kinds())]."""
        return np.array([self.thresholds.get(kind.name, self.threshold) for kind in tag_kinds()])

    def probabilities(self, log_odds: NDArray[np.floating]) -> NDArray[np.float64]:
        """Calibrate the log-odds that `raw_log_odds` returned, [..., len(tag_kinds())]."""
        return logistic(self.slope * log_odds + self.offsets)


class Tagger:
    """Tags images from their grids."""

    def __init__(self, classifier: keras.layers.Dense, calibration: TagCalibration) -> None:
        """Create a tagger from the encoder's own classifier. Its weights may change later.

        Raises:
            ValueError: If its classes are not those of ImageNet.
        """
        if classifier.units != CLASSES:
            raise ValueError(
                f"tags need a classifier of {CLASSES} classes, but this one has {classifier.units}"
            )
        self._classifier = classifier
        self._calibration = calibration

    def logits(self, grids: KerasTensor) -> KerasTensor:
        """Compute the calibrated log-odds of every tag, differentiable in the grids.

        Args:
            grids: [B, rows, columns, channels], from the encoder.

        Returns:
            [B, len(tag_kinds())].
        """
        scores = self._classifier(ops.mean(grids, axis=(1, 2)))
        return self._calibration.slope * raw_log_odds(scores) + self._calibration.offsets

    def tags(self, grids: NDArray[np.floating]) -> list[tuple[tuple[str, float], ...]]:
        """Tag images.

        Args:
            grids: [B, rows, columns, channels], from the encoder.

        Returns:
            For each image its tags with their probabilities, most probable first, at most
            `MAX_TAGS`. Empty if no probability reaches its threshold.
        """
        return [self.choose(logits) for logits in ops.convert_to_numpy(self.logits(grids))]

    def choose(self, logits: NDArray[np.floating]) -> tuple[tuple[str, float], ...]:
        """Choose the tags of one image from its `logits` [len(tag_kinds())]; see `tags`."""
        probabilities = logistic(logits)
        chosen = choose_tags(probabilities, self._calibration.least)
        return tuple((tag_kinds()[index].name, float(probabilities[index])) for index in chosen)


def raw_log_odds(scores: KerasTensor) -> KerasTensor:
    """Compute the uncalibrated log-odds of every kind from the classifier's logits.

    Args:
        scores: The classifier's logits [B, CLASSES].

    Returns:
        [B, len(tag_kinds())].
    """
    likelihoods = ops.exp(scores - ops.stop_gradient(ops.max(scores, axis=-1, keepdims=True)))
    # 1 - p loses all digits when p is close to 1, so both sides are summed.
    sides = ops.log(ops.matmul(likelihoods, _membership()) + _TINY)
    present, absent = ops.split(sides, 2, axis=-1)
    return present - absent


def choose_tags(
    probabilities: NDArray[np.floating], least: float | NDArray[np.floating]
) -> list[int]:
    """Choose the most probable kinds, and only one of those that share a word.

    Args:
        probabilities: [len(tag_kinds())], in 0..1.
        least: Least probability of a chosen kind; one for all, or [len(tag_kinds())].

    Returns:
        Indices in `tag_kinds()`, most probable first; at most `MAX_TAGS`.
    """
    chosen: list[int] = []
    likely = np.flatnonzero(probabilities >= least)
    for index in likely[np.argsort(-probabilities[likely])]:
        if len(chosen) == MAX_TAGS:
            break
        words = tag_kinds()[index].words
        if all(words.isdisjoint(tag_kinds()[other].words) for other in chosen):
            chosen.append(int(index))
    return chosen


def mentioned_kinds(captions: Collection[str]) -> NDArray[np.bool_]:
    """Return whether at least one caption mentions each kind, bool [len(tag_kinds())]."""
    phrases = {phrase for caption in captions for phrase in _phrases(tokenize(caption))}
    return np.array([not kind.words.isdisjoint(phrases) for kind in tag_kinds()])


@cache
def _membership() -> NDArray[np.float32]:
    """Return whether each class belongs to each kind, then whether it does not.

    0 or 1, [CLASSES, 2 * len(tag_kinds())].
    """
    members = np.zeros((CLASSES, len(tag_kinds())), np.float32)
    for index, kind in enumerate(tag_kinds()):
        members[kind.classes, index] = 1
    return np.concatenate([members, 1 - members], axis=1)


def _phrases(words: Sequence[str]) -> Iterator[str]:
    for start in range(len(words)):
        for end in range(start + 1, min(start + _longest_phrase(), len(words)) + 1):
            yield " ".join(words[start:end])


@cache
def _longest_phrase() -> int:
    return max(len(phrase.split()) for kind in tag_kinds() for phrase in kind.words)
