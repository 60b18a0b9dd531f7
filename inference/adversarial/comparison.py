"""Compare the plain and the hardened decoder's captions of the displayed attack."""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.attack import AdversarialExample, Array, Attack
from inference.adversarial.findings import AttackedCaption, diff_words, kept_places
from inference.adversarial.goals import ChangeCaption
from inference.explanations.captioned_image import CaptionedImage
from models.attacks import Norm, norms
from models.language import content_words

_MARGIN, _GROWTH = 1.25, 2.0
"""Factors of epsilon: slightly above the smallest one found, so that the result is not borderline;
then larger, as long as only function words such as "a" or "on" have changed."""

_ROUNDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class ShownAttack:
    """The attack that is shown, and its effect on each word."""

    attacked: AttackedCaption
    perturbation: Array
    """[1, S, S, 3]"""
    log_probs: NDArray[np.float32]
    """[words]: log-probabilities of the caption's words on the attacked image."""
    log_probs_hardened: NDArray[np.float32] | None
    """The same by the hardened decoder; None if there is none."""
    fragile: frozenset[int]
    """Indices of the words that the plain decoder loses and the hardened one keeps."""


def strengthen(
    attack: Attack, found: AdversarialExample | None, norm: Norm, steps: int
) -> Generator[None, None, Array]:
    """Increase an attack on the caption until content words change, not only function words.

    Epsilon starts slightly above the smallest one that changes the caption and is doubled until
    other content words appear. If nothing changes the caption, it is the largest one.

    Args:
        attack: On the caption.
        found: The smallest perturbation that changes the caption, if any.
        norm: Of the perturbation.
        steps: PGD steps at each epsilon.

    Yields:
        Between passes.

    Returns:
        The perturbation, [1, S, S, 3]. If none changes content words, it is the strongest one that
        was tried, or the strongest that changes the caption if `found` is given.
    """
    largest, text = attack.largest(norm), attack.subject.model.text
    original = content_words(text(attack.subject.words))
    epsilon = found.epsilon * _MARGIN if found else largest
    shown = perturbation = found.perturbation if found else np.zeros_like(attack.pixels)
    for _ in range(_ROUNDS):
        epsilon = min(epsilon, largest)
        yield
        for stepped in attack.steps(norm, epsilon, steps, perturbation):
            perturbation = stepped
            yield
        evaluation = attack.evaluate(perturbation)
        if evaluation.reached or not found:
            shown = perturbation
        changed = content_words(text(evaluation.tokens))
        if epsilon >= largest or (evaluation.reached and changed != original):
            break
        epsilon *= _GROWTH
    return shown


def compare_decoders(
    subject: CaptionedImage, goal: ChangeCaption, perturbation: Array, norm: Norm
) -> Generator[None, None, ShownAttack]:
    """Caption the attacked image by both decoders, and the clean one by the hardened decoder.

    Args:
        subject: The image and its caption.
        goal: Holds the caption that beam search finds for the clean image.
        perturbation: The attack's, [1, S, S, 3].
        norm: Of the attack.

    Yields:
        Between passes.
    """
    model, wording = subject.model, subject.model.wording
    yield
    grids = np.stack([subject.grid, model.encode_pixels(subject.pixels + perturbation)[0]])
    attacked_words = wording.strip(model.search(grids[1:]).tokens[0])
    rescored = model.rescore(grids[1:], [subject.tokens])
    before = wording.texts(subject.words)
    diff = diff_words(before, wording.texts(attacked_words))
    kept_clean = kept_places(diff_words(before, wording.texts(goal.searched)))
    hardened: list[NDArray[np.int32]] = []
    log_probs_hardened = None
    fragile: frozenset[int] = frozenset()
    hardened_diff = diff_words((), ())
    if model.hardened:
        yield
        hardened = list(model.hardened.search(grids).tokens)
        yield
        rescored_hardened = model.hardened.rescore(grids[1:], [subject.tokens])
        log_probs_hardened = subject.word_sums(rescored_hardened.log_probs[0])
        hardened_diff = diff_words(before, wording.texts(hardened[1]))
        fragile = (kept_clean & kept_places(hardened_diff)) - kept_places(diff)
    attacked = AttackedCaption(
        attack="pgd",
        norm=norm,
        epsilon=float(norms(perturbation, norm)[0]),
        clean=model.text(subject.words),
        attacked=model.text(attacked_words),
        diff=diff,
        hardened_clean=model.text(hardened[0]) if hardened else None,
        hardened=model.text(hardened[1]) if hardened else None,
        hardened_diff=hardened_diff,
    )
    return ShownAttack(
        attacked=attacked,
        perturbation=perturbation,
        log_probs=subject.word_sums(rescored.log_probs[0]),
        log_probs_hardened=log_probs_hardened,
        fragile=fragile,
    )
