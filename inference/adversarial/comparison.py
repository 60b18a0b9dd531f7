"""The attack that is shown: what the captioner says of the picture, and of the attacked one.

What is said of attacked pictures, beside what was said of the clean one.
"""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.aims import ChangeCaption, words_of
from inference.adversarial.attack import Array, Attack, Found
from inference.adversarial.findings import Attacked, diff_words, edit_count, kept_places
from inference.explanations.subject import Subject
from models.attacks import Norm, norms
from models.language.content_words import content_words

_BEYOND, _GROWTH = 1.25, 2.0
"""Times the smallest epsilon found: just above, so that what happens does not hang by a thread; and
then again and again, as long as nothing but words like "a" or "on" have changed."""

_ROUNDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Headline:
    """An attack with what it does to the words."""

    attacked: Attacked
    perturbation: Array
    """[1, S, S, 3]"""
    log_probs: NDArray[np.float32]
    """[T]: of the caption's words, of the attacked picture."""
    log_probs_hardened: NDArray[np.float32] | None
    """The same by the hardened decoder; None if there is none."""
    fragile: frozenset[int]
    """Places of the words that the plain decoder loses and the hardened one keeps."""


def telling(
    attack: Attack, found: Found | None, norm: Norm, steps: int
) -> Generator[None, None, Array]:
    """Attack so that the caption says something else, not the same in other words.

    That is just above the smallest epsilon that changes the caption, or as near above as doubling
    it leads to other content words; or at the largest epsilon, if nothing changed the caption.

    Args:
        attack: On the caption.
        found: What changes the caption.
        norm: Of the perturbation.
        steps: Of PGD, at each epsilon.

    Yields:
        Between passes.

    Returns:
        The perturbation, [1, S, S, 3]; the strongest that was tried if none is telling, but one
        that changes the caption if that is known.
    """
    largest, text = attack.largest(norm), attack.subject.model.text
    usual = content_words(text(np.array(attack.subject.words, np.int32)))
    epsilon = found.epsilon * _BEYOND if found else largest
    shown = perturbation = found.perturbation if found else np.zeros_like(attack.pixels)
    for _ in range(_ROUNDS):
        epsilon = min(epsilon, largest)
        yield
        for stepped in attack.steps(norm, epsilon, steps, perturbation):
            perturbation = stepped
            yield
        sight = attack.look(perturbation)
        if sight.reached or not found:
            shown = perturbation
        said = content_words(text(np.array(sight.tokens, np.int32)))
        if epsilon >= largest or (sight.reached and said != usual):
            break
        epsilon *= _GROWTH
    return shown


def compare(
    subject: Subject, usual: ChangeCaption, perturbation: Array, norm: Norm
) -> Generator[None, None, Headline]:
    """Caption the attacked picture, and both by the hardened decoder.

    Args:
        subject: The picture and its caption.
        usual: What is said of the clean picture.
        perturbation: The attack's, [1, S, S, 3].
        norm: Of the attack.

    Yields:
        Between passes.
    """
    model, vocabulary = subject.model, subject.model.captioner.vocabulary
    yield
    grids = np.stack([subject.grid, model.encode_pixels(subject.pixels + perturbation)[0]])
    said = words_of(model.search(grids[1:]).tokens[0])
    told = model.retell(grids[1:], [subject.tokens])
    before = vocabulary.decode(subject.words)
    diff = diff_words(before, vocabulary.decode(said))
    by_itself = kept_places(diff_words(before, vocabulary.decode(usual.found)))
    hardened: list[NDArray[np.int32]] = []
    log_probs_hardened = None
    fragile: frozenset[int] = frozenset()
    hardened_diff = diff_words((), ())
    if model.hardened:
        yield
        hardened = list(model.hardened.search(grids).tokens)
        yield
        retold = model.hardened.retell(grids[1:], [subject.tokens])
        log_probs_hardened = np.asarray(retold.log_probs[0, : len(subject.words)])
        hardened_diff = diff_words(before, vocabulary.decode(words_of(hardened[1])))
        fragile = (by_itself & kept_places(hardened_diff)) - kept_places(diff)
    attacked = Attacked(
        attack="pgd",
        norm=norm,
        epsilon=float(norms(perturbation, norm)[0]),
        clean=model.text(np.array(subject.words, np.int32)),
        attacked=model.text(np.array(said, np.int32)),
        diff=diff,
        hardened_clean=model.text(hardened[0]) if hardened else None,
        hardened=model.text(hardened[1]) if hardened else None,
        hardened_diff=hardened_diff,
    )
    return Headline(
        attacked=attacked,
        perturbation=perturbation,
        log_probs=np.asarray(told.log_probs[0, : len(subject.words)]),
        log_probs_hardened=log_probs_hardened,
        fragile=fragile,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What is said of some pictures."""

    captions: list[tuple[int, ...]]
    """The words of each."""
    changes: NDArray[np.float64]
    """[B]: how far each caption is from one that is said of the clean picture, in word edits over
    its words, at most 1."""
    log_probs: NDArray[np.float32]
    """[B, T]: of the words of the clean picture's caption, teacher-forced, in nats, calibrated."""


class Saying:
    """Captions pictures, and compares with a subject's caption."""

    def __init__(self, subject: Subject, usual: ChangeCaption) -> None:
        """Compare with what is usual, see `ChangeCaption.usual`."""
        self._subject, self._usual = subject, usual.usual

    def of(self, pixels: NDArray[np.float32]) -> Said:
        """Caption pictures of the captioner's own size, float32 [B, S, S, 3]."""
        model, tokens = self._subject.model, self._subject.tokens
        grids = model.encode_pixels(pixels)
        captions = [words_of(row) for row in model.search(grids).tokens]
        told = model.retell(grids, [tokens] * len(grids))
        return Said(
            captions=captions,
            changes=np.array([self.change(caption) for caption in captions]),
            log_probs=np.asarray(told.log_probs)[:, : len(self._subject.words)],
        )

    def change(self, caption: tuple[int, ...]) -> float:
        """How far a caption is from what is usual, in 0..1."""
        return min(_share(usual, caption) for usual in self._usual)


def _share(before: tuple[int, ...], after: tuple[int, ...]) -> float:
    # Tokens serve as words: each is another.
    edits = diff_words([str(token) for token in before], [str(token) for token in after])
    return min(1.0, edit_count(edits) / max(1, len(before)))
