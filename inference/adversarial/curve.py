"""How much of a caption changes as a perturbation grows: of the attack, and of random noise.

What is said of pictures with random noise: the control, without which no attack tells much.
"""

from collections.abc import Generator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.attack import Attack
from inference.adversarial.comparison import Said, Saying
from inference.adversarial.findings import Curve
from models.attacks import Norm, noise, norms

_POINTS = 8

_STEPS, _OF = 2, 4
"""Steps of PGD at each point of the curve, of the length of one of so many: small ones, as they go
on where the last point's have led."""

_AT_ONCE = 2
"""Noisy pictures between two yields."""


def curve(
    attack: Attack, saying: Saying, norm: Norm, draws: int, random: np.random.Generator
) -> Generator[None, None, Curve]:
    """Let an attack grow, and compare it with noise of exactly the norm that it has.

    Args:
        attack: On the caption.
        saying: How to tell what is said.
        norm: Of the perturbations.
        draws: Of noise, at each epsilon.
        random: For the noise.

    Yields:
        Between passes.

    Returns:
        The curve, each epsilon twice the one before, up to the largest that is searched.
    """
    epsilons: list[float] = []
    changed: list[float] = []
    log_probs: list[float] = []
    noisy: list[Said] = []
    perturbation = np.zeros_like(attack.pixels)
    for step in range(_POINTS):
        epsilon = attack.largest(norm) / 2 ** (_POINTS - 1 - step)
        yield
        for stepped in islice(attack.steps(norm, epsilon, _OF, perturbation), _STEPS):
            perturbation = stepped
            yield
        reached = float(norms(perturbation, norm)[0])
        epsilons.append(reached)
        said = saying.of(attack.pixels + perturbation)
        changed.append(float(said.changes[0]))
        log_probs.append(float(said.log_probs.mean()))
        noisy.append((yield from noise_of(attack.pixels, saying, reached, norm, draws, random)))
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


def noise_of(
    pixels: NDArray[np.float32],
    saying: Saying,
    epsilon: float,
    norm: Norm,
    draws: int,
    random: np.random.Generator,
) -> Generator[None, None, Said]:
    """Draw noise that has a norm, and tell what is said.

    Args:
        pixels: The clean picture, [1, S, S, 3].
        saying: How to tell.
        epsilon: The norm, after the cut to the range of pixels.
        norm: Which.
        draws: How many.
        random: From where.

    Yields:
        Before every few pictures.

    Returns:
        What is said of all of them.
    """
    parts: list[Said] = []
    for first in range(0, draws, _AT_ONCE):
        yield
        clean = np.repeat(pixels, min(_AT_ONCE, draws - first), axis=0)
        parts.append(saying.of(clean + noise(random, clean, epsilon, norm)))
    return Said(
        captions=[caption for part in parts for caption in part.captions],
        changes=np.concatenate([part.changes for part in parts]),
        log_probs=np.concatenate([part.log_probs for part in parts]),
    )
