"""Attacks on single words, in the whole picture and in each of its segments alone."""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.aims import FlipWord
from inference.adversarial.attack import Attack, Found
from inference.adversarial.findings import Smallest
from inference.adversarial.params import AdversarialParams
from inference.adversarial.regions import flipping_segments
from inference.explanations.subject import Subject
from inference.faithfulness.word_kinds import word_kind
from models.attacks import Norm
from models.vocabulary import END


@dataclass(frozen=True, slots=True)
class WordAttacks:
    """What attacks on a word found."""

    smallest: tuple[Smallest, ...]
    """See `WordFindings.smallest`."""
    becomes: str
    """See `WordFindings.becomes`."""
    regions: tuple[int, ...]
    """See `WordFindings.regions`."""


def is_object(word: str) -> bool:
    """Whether a word names what can be pointed at."""
    return word_kind(word) == "object"


def attack_word(
    subject: Subject,
    place: int,
    params: AdversarialParams,
    labels: NDArray[np.int32],
) -> Generator[None, None, WordAttacks]:
    """Attack a word by one step in both norms; by several in one, if it names an object.

    Args:
        subject: The picture and its caption.
        place: Of the word.
        params: How far to go.
        labels: [S, S]: the picture's segments, from 0.

    Yields:
        Between passes.
    """
    attack = Attack(subject, FlipWord(subject, place), params.epsilon_most)
    linf = yield from attack.fgsm("linf")
    l2 = yield from attack.fgsm("l2", linf)
    found: list[tuple[str, Norm, Found | None]] = [("fgsm", "linf", linf), ("fgsm", "l2", l2)]
    word = subject.model.captioner.vocabulary.words[subject.words[place]]
    if is_object(word):
        known = linf if params.norm == "linf" else l2
        stepped = yield from attack.pgd(params.norm, max(1, params.steps // 2), known)
        found.insert(0, ("pgd", params.norm, stepped))
    regions: tuple[int, ...] = ()
    if not attack.clean.reached:
        regions = yield from flipping_segments(
            subject, place, attack.slope, labels, params.epsilon_segment
        )
    becomes = [each.tokens[0] for _, _, each in found if each]
    return WordAttacks(
        smallest=tuple(
            attack.told(name, norm, each, _text(subject, each.tokens[0]) if each else "")
            for name, norm, each in found
        ),
        becomes=_text(subject, becomes[0]) if becomes else "",
        regions=regions,
    )


def _text(subject: Subject, token: int) -> str:
    """The word; nothing if the caption would end there."""
    return "" if token == END else subject.model.captioner.vocabulary.words[token]
