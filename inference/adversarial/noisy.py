"""What is said of pictures with random noise: the control, without which no attack tells much."""

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.saying import Said, Saying
from models.attacks import Norm, noise

_AT_ONCE = 2
"""Noisy pictures between two yields."""


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
