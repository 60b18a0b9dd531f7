"""What was found for the words of a caption, wherever the concepts are from."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inference.concepts.findings import ConceptInFrame, Evidence, WordConcepts
from inference.concepts.scoring import Array, Scores
from inference.explanations.map import Map
from inference.explanations.score import CaptionScore
from inference.explanations.subject import Subject
from inference.explanations.target import Target
from inference.faithfulness.word_kinds import word_kind


@dataclass(frozen=True, slots=True)
class Asked:
    """A word of the caption whose concepts are sought."""

    text: str
    index: int
    """Its place in the caption."""

    def without(self, why: str) -> WordConcepts:
        """Say why it has none."""
        return WordConcepts(self.text, self.index, (), why)


@dataclass(frozen=True, slots=True, eq=False)
class Sought:
    """What was found; as `ConceptFindings` has it."""

    words: tuple[WordConcepts, ...]
    frames: int = 0
    scenes: int = 0
    notes: tuple[str, ...] = ()
    pictures: dict[str, NDArray[np.uint8]] = field(default_factory=dict)


def asked(subject: Subject, word: str) -> list[Asked]:
    """Choose the words whose concepts are sought.

    Args:
        subject: The picture and its caption.
        word: That word alone; empty for all that carry meaning.

    Raises:
        ValueError: If the caption does not say the word.
    """
    names = subject.model.captioner.vocabulary.words
    said = [Asked(names[token], index) for index, token in enumerate(subject.words)]
    if not word:
        return [each for each in said if word_kind(each.text) != "function"]
    chosen = [each for each in said if each.text == word]
    if not chosen:
        raise ValueError(f"the caption does not say {word!r}")
    return chosen


def gradient(subject: Subject, word: Asked) -> Array:
    """Differentiate the logit of a word to the picture's grid, [rows, columns, C]."""
    target = Target("word", word.index)
    return CaptionScore(subject, target).gradient(subject.grid)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a concept whatever the picture."""

    id: str
    evidence: Evidence
    picture: str
    """As `ConceptInFrame` has it."""


def in_frame(
    known: Sequence[Known], scores: Scores, support: Array, most: int
) -> tuple[ConceptInFrame, ...]:
    """Describe the concepts of one word in the picture.

    Args:
        known: The concepts.
        scores: Of these concepts.
        support: For this word, [K].
        most: How many, those that add most first.
    """
    order = np.argsort(-support, kind="stable")[:most]
    return tuple(
        ConceptInFrame(
            id=known[place].id,
            presence=float(scores.presence[place]),
            support=float(support[place]),
            map=Map(np.maximum(scores.cells[place], 0).astype(np.float32)),
            evidence=known[place].evidence,
            picture=known[place].picture,
        )
        for place in order
    )
