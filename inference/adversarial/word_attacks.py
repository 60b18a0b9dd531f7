"""Attacks on single words, in the whole picture and in each of its segments alone.

Attacks confined to one segment of the picture: which of them alone can flip a word.

Attacks that make the captioner say a word, or lose one (Chen et al., ACL 2018).
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.aims import Aim, FlipWord, LoseWord, SayWord, token_of
from inference.adversarial.attack import Array, Attack, Found
from inference.adversarial.findings import AdversarialParams, Keyword, Smallest
from inference.explanations.subject import Subject
from inference.word_kinds import word_kind
from models.attacks import Norm, fgsm
from models.language import END

_AT_ONCE = 4
"""Segments that are attacked between two yields."""


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


def flipping_segments(
    subject: Subject,
    place: int,
    slope: Array,
    labels: NDArray[np.int32],
    epsilon: float,
) -> Generator[None, None, tuple[int, ...]]:
    """Attack a word in each segment apart, by one step of the fast gradient sign method in L-inf.

    A lower bound: another step might flip the word in more of them.

    Args:
        subject: The picture and its caption.
        place: Of the word.
        slope: The gradient of the word's `FlipWord` at the clean picture, [1, S, S, 3].
        labels: [S, S]: the segment of each pixel, from 0.
        epsilon: Inside the segment; outside it nothing changes.

    Yields:
        Before every few segments.

    Returns:
        Labels of the segments in which the attack makes another word likelier.
    """
    aim = FlipWord(subject, place)
    pixels = subject.pixels[None].astype(np.float32)
    flipping: list[int] = []
    count = int(labels.max()) + 1
    for first in range(0, count, _AT_ONCE):
        yield
        segments = np.arange(first, min(first + _AT_ONCE, count))
        masks = (labels == segments[:, None, None])[..., None].astype(np.float32)
        perturbations = fgsm(slope * masks, np.repeat(pixels, len(masks), axis=0), epsilon, "linf")
        grids = subject.model.encode_pixels(pixels + perturbations)
        flipped = aim.likeliest(grids) != subject.tokens[place]
        flipping += segments[flipped].tolist()
    return tuple(flipping)


def outline(pixels: NDArray[np.uint8], labels: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Draw the borders of segments [S, S] into a picture, uint8 [S, S, 3].

    Black on one side and white on the other, so that they are seen on any colour.
    """
    drawn = pixels.copy()
    for axis in (0, 1):
        picture, label = (np.moveaxis(each, axis, 0) for each in (drawn, labels))
        border = label[1:] != label[:-1]
        picture[1:][border] = 255
        picture[:-1][border] = 0
    return drawn


class KeywordAim(NamedTuple):
    """What is to happen to a word."""

    kind: Literal["say", "lose"]
    word: str
    aim: Aim


def keyword_aims(subject: Subject, params: AdversarialParams) -> list[KeywordAim]:
    """Resolve the words that are asked for; the surest object word is to be lost if none is.

    Raises:
        ValueError: If the captioner does not know a word, says the one already or does not say
            the other.
    """
    aims: list[KeywordAim] = []
    lose, say = (word.strip().lower() for word in (params.lose, params.say))
    lose = lose or _surest_object(subject)
    if lose:
        aims.append(KeywordAim("lose", lose, LoseWord(subject, lose)))
    if say:
        aims.append(KeywordAim("say", say, SayWord(subject, say)))
    return aims


def attack_keyword(
    subject: Subject,
    keyword: KeywordAim,
    params: AdversarialParams,
    others: Sequence[Found],
) -> Generator[None, None, Keyword]:
    """Search for the smallest perturbation that reaches it, by one step and then by several.

    Args:
        subject: The picture and its caption.
        keyword: What is to happen.
        params: How far to go.
        others: What other attacks found in the same norm, which may do that too.

    Yields:
        Between passes.
    """
    attack = Attack(subject, keyword.aim, params.epsilon_most)
    token = token_of(keyword.word, subject.model.captioner.vocabulary)
    known = [each for each in others if (token in each.tokens) == (keyword.kind == "say")]
    if not known:
        one_step = yield from attack.fgsm(params.norm)
        known = [one_step] if one_step else []
    nearest = min(known, key=lambda each: each.epsilon, default=None)
    found = yield from attack.pgd(params.norm, params.steps, nearest)
    said = subject.model.text(np.array(found.tokens, np.int32)) if found else ""
    smallest = attack.told("pgd", params.norm, found, said)
    return Keyword(keyword.kind, keyword.word, smallest)


def _surest_object(subject: Subject) -> str:
    names = subject.model.captioner.vocabulary.words
    said = zip(subject.words, subject.told.log_probs[: len(subject.words)], strict=True)
    likely = [(float(log_prob), names[word]) for word, log_prob in said if is_object(names[word])]
    return max(likely, default=(0.0, ""))[1]
