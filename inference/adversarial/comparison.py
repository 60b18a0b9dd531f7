"""Compare the captioner with its hardened model and the control, under attack."""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.attack import Array, Attack
from inference.adversarial.findings import ComparedCaption, Comparison, ModelName
from inference.adversarial.goals import ChangeCaption
from inference.captioning.hardened import SecondModel
from inference.explanations.captioned_image import CaptionedImage
from models.language import diff_words, kept_places

_STEPS = 4
"""PGD steps, as in the measurement that `Comparison.by_chance` comes from."""


@dataclass(frozen=True, slots=True, eq=False)
class ComparedModels:
    """The comparison, and what it says of each word."""

    comparison: Comparison
    log_probs: NDArray[np.float32]
    """[words]: log-probabilities of the caption's words on the attacked image."""
    log_probs_hardened: NDArray[np.float32] | None
    """The same by the hardened model; None if there is none."""
    fragile: frozenset[int]
    """Indices of the words that the captioner and the control lose and the hardened model keeps."""


def compare_models(
    attack: Attack, goal: ChangeCaption, epsilon: float
) -> Generator[None, None, ComparedModels]:
    """Attack the captioner, and caption the attacked and the clean image by all models.

    Args:
        attack: On the caption.
        goal: Holds the caption that beam search finds for the clean image.
        epsilon: Of the attack, in L-inf.

    Yields:
        Between passes.
    """
    perturbation = np.zeros_like(attack.pixels)
    yield
    for stepped in attack.steps("linf", epsilon, _STEPS, perturbation):
        perturbation = stepped
        yield
    return (yield from caption_by_all(attack.subject, goal, perturbation, epsilon))


def caption_by_all(
    subject: CaptionedImage, goal: ChangeCaption, perturbation: Array, epsilon: float
) -> Generator[None, None, ComparedModels]:
    """Caption an image with a perturbation [1, S, S, 3] of size epsilon, and the clean one."""
    model, wording = subject.model, subject.model.wording
    before = wording.texts(subject.words)
    images = np.concatenate([subject.pixels[None], subject.pixels[None] + perturbation])
    captions: list[ComparedCaption] = []
    kept: list[frozenset[int]] = []
    log_probs: list[NDArray[np.float32]] = []
    found = model.hardened
    models: dict[ModelName, SecondModel] = {"plain": model}
    if found:
        models |= {"hardened": found.hardened, "control": found.control}
    for name, each in models.items():
        yield
        grids = each.encode_pixels(images)
        yield
        clean, attacked = (wording.strip(tokens) for tokens in each.search(grids).tokens)
        diff = diff_words(before, wording.texts(attacked))
        captions.append(ComparedCaption(name, model.text(clean), model.text(attacked), diff))
        kept.append(kept_places(diff))
        yield
        rescored = each.rescore(grids[1:], [subject.tokens])
        log_probs.append(subject.word_sums(rescored.log_probs[0]))
    fragile: frozenset[int] = frozenset()
    if found:
        # If the subject has an earlier frame's caption, some words may be lost without an attack.
        known = kept_places(diff_words(before, wording.texts(goal.searched)))
        fragile = (known & kept[1]) - kept[0] - kept[2]
    return ComparedModels(
        Comparison(
            epsilon,
            tuple(captions),
            found.by_chance(epsilon) if found else None,
            found.measured_on if found else 0,
        ),
        log_probs[0],
        log_probs[1] if found else None,
        fragile,
    )
