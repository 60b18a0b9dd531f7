"""How much of a caption changes as a perturbation grows: PGD compared with random noise."""

from collections.abc import Generator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.attack import Attack
from inference.adversarial.findings import Curve
from inference.adversarial.goals import ChangeCaption
from inference.explanations.captioned_image import CaptionedImage
from models.attacks import Norm, noise, norms
from models.language import diff_words, edit_count

_POINTS = 8

_STEPS, _STEPS_PLANNED = 2, 4
"""PGD steps taken at each point of the curve, and the number of steps that their length is chosen
for. They are short because they continue from the previous point's perturbation."""

_NOISE_BATCH = 2
"""Most noisy images between two yields; fewer if the captioner takes fewer together."""


@dataclass(frozen=True, slots=True, eq=False)
class PerturbedCaptions:
    """Captions of perturbed images."""

    captions: list[tuple[int, ...]]
    """The tokens of the words of each."""
    changes: NDArray[np.float64]
    """[B]: distance of each caption from the nearest caption of the clean image, in word edits
    divided by its words, at most 1."""
    log_probs: NDArray[np.float32]
    """[B, words]: calibrated log-probabilities of the original caption's words, teacher-forced, in
    nats."""


class PerturbedCaptioner:
    """Captions perturbed images, and compares the captions with the original one."""

    def __init__(self, subject: CaptionedImage, goal: ChangeCaption) -> None:
        """Compare with the captions of the clean image, see `ChangeCaption.unchanged`."""
        self._subject, self._originals = subject, goal.unchanged
        self.max_batch = subject.model.max_batch
        """Images to caption together."""

    def caption(self, pixels: NDArray[np.float32]) -> PerturbedCaptions:
        """Caption images of the captioner's size, float32 [B, S, S, 3]."""
        model, tokens = self._subject.model, self._subject.tokens
        grids = model.encode_pixels(pixels)
        captions = [model.wording.strip(row) for row in model.search(grids).tokens]
        rescored = model.rescore(grids, [tokens] * len(grids))
        return PerturbedCaptions(
            captions=captions,
            changes=np.array([self._change(caption) for caption in captions]),
            log_probs=self._subject.word_sums(rescored.log_probs),
        )

    def _change(self, caption: tuple[int, ...]) -> float:
        texts = self._subject.model.wording.texts
        return min(_changed_share(texts(each), texts(caption)) for each in self._originals)


def measure_curve(
    attack: Attack,
    captioner: PerturbedCaptioner,
    norm: Norm,
    draws: int,
    random: np.random.Generator,
) -> Generator[None, None, Curve]:
    """Increase an attack step by step, and compare it with noise of exactly the same norm.

    Args:
        attack: On the caption.
        captioner: Captions the perturbed images.
        norm: Of the perturbations.
        draws: Noise samples at each epsilon.
        random: For the noise.

    Yields:
        Between passes.

    Returns:
        The curve; each epsilon is twice the previous one, up to the largest that is searched.
    """
    epsilons: list[float] = []
    changed: list[float] = []
    log_probs: list[float] = []
    noisy: list[PerturbedCaptions] = []
    perturbation = np.zeros_like(attack.pixels)
    for point in range(_POINTS):
        epsilon = attack.largest(norm) / 2 ** (_POINTS - 1 - point)
        yield
        for stepped in islice(attack.steps(norm, epsilon, _STEPS_PLANNED, perturbation), _STEPS):
            perturbation = stepped
            yield
        reached = float(norms(perturbation, norm)[0])
        epsilons.append(reached)
        captions = captioner.caption(attack.pixels + perturbation)
        changed.append(float(captions.changes[0]))
        log_probs.append(float(captions.log_probs.mean()))
        noisy.append(
            (yield from caption_noise(attack.pixels, captioner, reached, norm, draws, random))
        )
    return Curve(
        norm=norm,
        attack="pgd",
        epsilons=tuple(epsilons),
        changed=tuple(changed),
        log_prob=tuple(log_probs),
        noise_changed=tuple(float(each.changes.mean()) for each in noisy),
        noise_changed_most=tuple(float(each.changes.max()) for each in noisy),
        noise_log_prob=tuple(float(each.log_probs.mean()) for each in noisy),
        draws=draws,
    )


def caption_noise(
    pixels: NDArray[np.float32],
    captioner: PerturbedCaptioner,
    epsilon: float,
    norm: Norm,
    draws: int,
    random: np.random.Generator,
) -> Generator[None, None, PerturbedCaptions]:
    """Add random noise of a given norm to an image, and caption the results.

    This is the control experiment: without it, an attack alone shows little.

    Args:
        pixels: The clean image, [1, S, S, 3].
        captioner: Captions the noisy images.
        epsilon: Norm of the noise, after clipping to the range of pixels.
        norm: Which norm.
        draws: Number of noisy images.
        random: For the noise.

    Yields:
        Before every few images.
    """
    parts: list[PerturbedCaptions] = []
    batch = min(_NOISE_BATCH, captioner.max_batch)
    for first in range(0, draws, batch):
        yield
        clean = np.repeat(pixels, min(batch, draws - first), axis=0)
        parts.append(captioner.caption(clean + noise(random, clean, epsilon, norm)))
    return PerturbedCaptions(
        captions=[caption for part in parts for caption in part.captions],
        changes=np.concatenate([part.changes for part in parts]),
        log_probs=np.concatenate([part.log_probs for part in parts]),
    )


def _changed_share(before: list[str], after: list[str]) -> float:
    return min(1.0, edit_count(diff_words(before, after)) / max(1, len(before)))
