"""Attacks on single words: in the whole image, in each segment alone, and on keywords."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.attack import Array, Attack
from inference.adversarial.findings import AdversarialParams, KeywordAttack, SmallestPerturbation
from inference.adversarial.goals import AddWord, AdversarialExample, DropWord, FlipWord, Goal
from inference.explanations.captioned_image import CaptionedImage
from models.attacks import fgsm
from models.word_kinds import word_kind

_ROUNDS = 2
"""Steps along the boundary for an object word."""


@dataclass(frozen=True, slots=True)
class WordAttacks:
    """Results of the attacks on one word."""

    example: AdversarialExample | None
    """The smallest perturbation."""
    smallest: SmallestPerturbation
    """See `WordFindings.smallest`."""
    becomes: str
    """See `WordFindings.becomes`."""
    regions: tuple[int, ...]
    """See `WordFindings.regions`."""


class KeywordGoal(NamedTuple):
    """A word to force into the caption, or out of it."""

    kind: Literal["say", "lose"]
    word: str
    goal: Goal


def is_object(word: str) -> bool:
    """Return whether a word names an object."""
    return word_kind(word) == "object"


def attack_word(
    subject: CaptionedImage,
    place: int,
    params: AdversarialParams,
    labels: NDArray[np.int32],
) -> Generator[None, None, WordAttacks]:
    """Attack a word by FGSM and straight to the boundary; object words also along it.

    Args:
        subject: The image and its caption.
        place: Index of the word.
        params: Limits of the attacks.
        labels: [S, S]: the image's segments, from 0.

    Yields:
        Between passes.
    """
    attack = Attack(subject, FlipWord(subject, place), params.epsilon_most)
    norm, rounds = params.norm, _ROUNDS if is_object(subject.spans[place].text) else 0
    found = yield from attack.fgsm(norm)
    found = yield from attack.fab(norm, rounds, found)
    regions: tuple[int, ...] = ()
    if not attack.clean.reached:
        regions = yield from flipping_segments(
            subject, place, attack.gradient, labels, params.epsilon_segment
        )
    becomes = _text(subject, found.tokens) if found else ""
    return WordAttacks(found, attack.smallest(norm, found, becomes), becomes, regions)


def flipping_segments(
    subject: CaptionedImage,
    place: int,
    gradient: Array,
    labels: NDArray[np.int32],
    epsilon: float,
) -> Generator[None, None, tuple[int, ...]]:
    """Attack a word in each segment alone, by one FGSM step in L-inf.

    The result is a lower bound: another step might flip the word in more segments.

    Args:
        subject: The image and its caption.
        place: Index of the word.
        gradient: Gradient of the word's `FlipWord` goal at the clean image, [1, S, S, 3].
        labels: [S, S]: the segment of each pixel, from 0.
        epsilon: Inside the segment; nothing changes outside it.

    Yields:
        Before every few segments.

    Returns:
        Labels of the segments in which the attack makes another word more likely.
    """
    goal = FlipWord(subject, place)
    pixels = subject.pixels[None].astype(np.float32)
    flipping: list[int] = []
    count = int(labels.max()) + 1
    batch = subject.model.max_batch
    for first in range(0, count, batch):
        yield
        segments = np.arange(first, min(first + batch, count))
        masks = (labels == segments[:, None, None])[..., None].astype(np.float32)
        repeated = np.repeat(pixels, len(masks), axis=0)
        perturbations = fgsm(gradient * masks, repeated, epsilon, "linf")
        grids = subject.model.encode_pixels(pixels + perturbations)
        flipping += segments[goal.flipped(grids)].tolist()
    return tuple(flipping)


def keyword_goals(subject: CaptionedImage, params: AdversarialParams) -> list[KeywordGoal]:
    """Resolve the keywords; without one to lose, take the most likely object word.

    Raises:
        ValueError: If a word is not in the vocabulary, the caption already contains the word to
            add, or does not contain the word to remove.
    """
    goals: list[KeywordGoal] = []
    lose, say = (word.strip().lower() for word in (params.lose, params.say))
    lose = lose or _likeliest_object(subject)
    if lose:
        goals.append(KeywordGoal("lose", lose, DropWord(subject, lose)))
    if say:
        goals.append(KeywordGoal("say", say, AddWord(subject, say)))
    return goals


def attack_keyword(
    subject: CaptionedImage,
    keyword: KeywordGoal,
    params: AdversarialParams,
    others: Sequence[AdversarialExample],
) -> Generator[None, None, KeywordAttack]:
    """Search for the smallest perturbation that reaches the goal, by FGSM and then by PGD.

    Args:
        subject: The image and its caption.
        keyword: The word and the goal.
        params: Limits of the attack.
        others: What other attacks found in the same norm; some may reach this goal too.

    Yields:
        Between passes.
    """
    attack = Attack(subject, keyword.goal, params.epsilon_most)
    texts, says = subject.model.wording.texts, keyword.kind == "say"
    known = [each for each in others if (keyword.word in texts(each.tokens)) == says]
    if not known:
        one_step = yield from attack.fgsm(params.norm)
        known = [one_step] if one_step else []
    nearest = min(known, key=lambda each: each.epsilon, default=None)
    found = yield from attack.pgd(params.norm, params.steps, nearest)
    caption = subject.model.text(found.tokens) if found else ""
    smallest = attack.smallest(params.norm, found, caption)
    return KeywordAttack(keyword.kind, keyword.word, smallest)


def _text(subject: CaptionedImage, tokens: tuple[int, ...]) -> str:
    """Return the word of some tokens; empty if the caption would end there."""
    return "".join(subject.model.wording.texts(tokens))


def _likeliest_object(subject: CaptionedImage) -> str:
    log_probs = subject.word_sums(subject.rescored.log_probs)
    scored = zip(subject.spans, log_probs, strict=True)
    objects = [(float(log_prob), word.text) for word, log_prob in scored]
    return max((each for each in objects if is_object(each[1])), default=(0.0, ""))[1]
