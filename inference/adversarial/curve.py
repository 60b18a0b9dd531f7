"""How much of a caption changes as a perturbation grows: of the attack, and of random noise."""

from collections.abc import Generator
from itertools import islice

import numpy as np

from inference.adversarial.attack import Attack
from inference.adversarial.findings import Curve
from inference.adversarial.noisy import noise_of
from inference.adversarial.saying import Said, Saying
from models.attacks import Norm, norms

_POINTS = 8
_STEPS, _OF = 2, 4
"""Steps of PGD at each point of the curve, of the length of one of so many: small ones, as they go
on where the last point's have led."""


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
