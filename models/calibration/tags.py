"""Object tags: what is in a picture, whether or not its caption mentions it.

An encoder that was trained on ImageNet knows 1,000 classes of things, most of which are in no
caption that the decoder was trained on. A tag is an everyday name of some of the classes; its
evidence is the log-odds of the sum of their probabilities. From that Platt scaling (Platt,
"Probabilistic Outputs for Support Vector Machines", 1999) makes its probability: that of five
people who describe the picture one at least mentions the thing. What people see and do not mention
counts as absent, so that such a tag's probability is too low rather than too high.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import keras
import numpy as np
from keras import KerasTensor, ops
from numpy.typing import NDArray

from models.calibration.confidence import logistic
from models.encoders import CLASSES
from models.language import tokenize

MOST_TAGS = 5
"""Of one picture."""


_TABLE = Path(__file__).with_name("imagenet_tags.txt")


_SILENT = "-"


_TINY = 1e-30


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object that has a tag."""

    name: str
    """The tag: an everyday name, lower case."""
    classes: tuple[int, ...]
    """Of ImageNet, ascending."""
    words: frozenset[str]
    """The words, and phrases of words, by which people mention it."""


@dataclass(frozen=True, slots=True)
class TagCalibration:
    """What `python -m models.calibrate_tags` has found for a captioner.

    The log-odds of a tag are slope * evidence + offset - its doubt.
    """

    slope: float
    offset: float
    doubts: dict[str, float]
    """By tag, of those that are seen more often than people mention them; above 0."""
    threshold: float
    """A tag of a lower probability is not told."""

    def __post_init__(self) -> None:
        if unknown := self.doubts.keys() - {kind.name for kind in kinds()}:
            raise ValueError(
                f"no tag is called {min(unknown)!r}: run `python -m models.calibrate_tags` again"
            )
        if not (
            self.slope > 0 and 0 < self.threshold < 1 and min(self.doubts.values(), default=0) >= 0
        ):
            raise ValueError("tags need a slope above 0, a threshold in 0..1 and no doubt below 0")

    @property
    def offsets(self) -> NDArray[np.float32]:
        """The offset less the doubt of every kind, [len(kinds())]."""
        doubts = [self.doubts.get(kind.name, 0.0) for kind in kinds()]
        return np.array(self.offset - np.array(doubts), np.float32)

    def probabilities(self, evidence: NDArray[np.floating]) -> NDArray[np.float64]:
        """Make probabilities of what `tag_evidence` found, [..., len(kinds())]."""
        return logistic(self.slope * evidence + self.offsets)


class Tagger:
    """Finds the tags of pictures in what their encoder saw."""

    def __init__(self, classifier: keras.layers.Dense, calibration: TagCalibration) -> None:
        """Take the encoder's own classifier, whose weights may go on changing.

        Raises:
            ValueError: If its classes are not those of ImageNet.
        """
        if classifier.units != CLASSES:
            raise ValueError(f"tags are made of {CLASSES} classes, not of {classifier.units}")
        self._classifier = classifier
        self._calibration = calibration

    def logits(self, grids: KerasTensor) -> KerasTensor:
        """Log-odds of every tag of `kinds()`, differentiable in the grids.

        Args:
            grids: [B, rows, columns, channels], as the encoder makes them.

        Returns:
            [B, len(kinds())].
        """
        scores = self._classifier(ops.mean(grids, axis=(1, 2)))
        return self._calibration.slope * tag_evidence(scores) + self._calibration.offsets

    def tags(self, grids: NDArray[np.floating]) -> list[tuple[tuple[str, float], ...]]:
        """Tell what is in the pictures.

        Args:
            grids: [B, rows, columns, channels], as the encoder makes them.

        Returns:
            For each picture the names of its tags with their probabilities, the most probable
            first; none when nothing is sure enough, and `MOST_TAGS` at most.
        """
        return [self.choose(logits) for logits in ops.convert_to_numpy(self.logits(grids))]

    def choose(self, logits: NDArray[np.floating]) -> tuple[tuple[str, float], ...]:
        """Tell the tags of one picture, of which `logits` made [len(kinds())]; see `tags`."""
        probabilities = logistic(logits)
        chosen = choose(probabilities, self._calibration.threshold)
        return tuple((kinds()[index].name, float(probabilities[index])) for index in chosen)


def tag_evidence(scores: KerasTensor) -> KerasTensor:
    """Log-odds that the one thing in the picture is of each kind, as the classifier has it.

    Args:
        scores: The classifier's logits [B, CLASSES].

    Returns:
        [B, len(kinds())].
    """
    likelihoods = ops.exp(scores - ops.stop_gradient(ops.max(scores, axis=-1, keepdims=True)))
    # One minus a probability near 1 has lost its digits, so both sides are summed.
    sides = ops.log(ops.matmul(likelihoods, _sides()) + _TINY)
    there, elsewhere = ops.split(sides, 2, axis=-1)
    return there - elsewhere


def choose(probabilities: NDArray[np.floating], threshold: float) -> list[int]:
    """Choose the kinds to tell: the most probable ones, and of those that share a word only one.

    Args:
        probabilities: [len(kinds())], in 0..1.
        threshold: A less probable kind is not told.

    Returns:
        Places in `kinds()`, the most probable first; `MOST_TAGS` at most.
    """
    chosen: list[int] = []
    for index in np.argsort(-probabilities):
        if probabilities[index] < threshold or len(chosen) == MOST_TAGS:
            break
        words = kinds()[index].words
        if all(words.isdisjoint(kinds()[other].words) for other in chosen):
            chosen.append(int(index))
    return chosen


def mentioned(captions: Collection[str]) -> NDArray[np.bool_]:
    """Whether one of the captions mentions each kind, as bool [len(kinds())]."""
    phrases = {phrase for caption in captions for phrase in _phrases(tokenize(caption))}
    return np.array([not kind.words.isdisjoint(phrases) for kind in kinds()])


@cache
def kinds() -> tuple[Kind, ...]:
    """Every kind of object that has a tag, in the order of the table."""
    return tuple(_read_kinds(_TABLE.read_text(encoding="utf-8")))


def _read_kinds(table: str) -> Iterator[Kind]:
    for line in table.splitlines():
        if line and not line.startswith("#"):
            name, classes, words = line.split(" | ")
            if name != _SILENT:
                yield Kind(name, _read_classes(classes), frozenset(words.split(", ")))


def _read_classes(text: str) -> tuple[int, ...]:
    """Read "3, 5-7" as 3, 5, 6, 7."""
    bounds = (part.partition("-") for part in text.split(", "))
    return tuple(
        number for first, _, last in bounds for number in range(int(first), int(last or first) + 1)
    )


@cache
def _sides() -> NDArray[np.float32]:
    """Which class is of which kind, and then which is not: 0 or 1, [CLASSES, 2 * len(kinds())]."""
    members = np.zeros((CLASSES, len(kinds())), np.float32)
    for index, kind in enumerate(kinds()):
        members[kind.classes, index] = 1
    return np.concatenate([members, 1 - members], axis=1)


def _phrases(words: Sequence[str]) -> Iterator[str]:
    for start in range(len(words)):
        for end in range(start + 1, min(start + _longest_phrase(), len(words)) + 1):
            yield " ".join(words[start:end])


@cache
def _longest_phrase() -> int:
    return max(len(phrase.split()) for kind in kinds() for phrase in kind.words)
