"""Steps of attacks on pictures: what is added to the pixels, and how far it may go.

The fast gradient sign method: Goodfellow et al., "Explaining and Harnessing Adversarial Examples"
(ICLR 2015), and in the L2 norm Miyato et al. (ICLR 2017). Projected gradient descent: Madry et al.,
"Towards Deep Learning Models Resistant to Adversarial Attacks" (ICLR 2018). What is attacked is a
number z of each picture that the caller differentiates; all steps here raise z.

Shapes: pixels, perturbations and gradients are float32 [B, H, W, 3]. Pixels are grey levels in
0..255, and so are perturbations and epsilons.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


Norm = Literal["linf", "l2"]
"""The largest absolute value; or the root of the sum of squares, over pixels and channels."""


Gradient = Callable[[Array], Array]
"""Of z, at pixels."""


WHITE = 255.0


_TINY = 1e-12


_STEP = 2.5
"""PGD's step, times epsilon over the number of steps: far enough to reach the border from anywhere
inside and to move along it (Madry et al.)."""


_LENGTHENINGS = 30
"""Of noise, at most; two or three do unless most pixels are black or white."""


_EXACT, _ROUNDING = 1e-5, 2e-5
"""How near noise comes to its norm, relatively and in grey levels, which single precision does not
tell apart any finer near white."""


def norms(perturbation: Array, norm: Norm) -> Array:
    """Measure each perturbation: [B]."""
    flat = perturbation.reshape(len(perturbation), -1)
    if norm == "linf":
        return np.asarray(np.abs(flat).max(axis=1), np.float32)
    return np.asarray(np.linalg.norm(flat, axis=1), np.float32)


def direction(gradient: Array, norm: Norm) -> Array:
    """Turn a gradient into the step of norm 1 along which z rises fastest; 0 where it is 0."""
    if norm == "linf":
        return np.sign(gradient)
    lengths = norms(gradient, "l2")[:, None, None, None]
    return np.asarray(gradient / np.maximum(lengths, _TINY), np.float32)


def project(perturbation: Array, pixels: Array, epsilon: float | Array, norm: Norm) -> Array:
    """Bring perturbed pictures back into the norm's ball and the range of pixels.

    Args:
        perturbation: Of any size.
        pixels: The clean pictures.
        epsilon: The ball's radius, one for all or [B].
        norm: Of the ball.

    Returns:
        The nearest perturbation in the ball, cut to the range, which only shortens it.
    """
    radius = np.asarray(epsilon, np.float32).reshape(-1, 1, 1, 1)
    if norm == "linf":
        inside = np.clip(perturbation, -radius, radius)
    else:
        lengths = norms(perturbation, "l2")[:, None, None, None]
        inside = perturbation * np.minimum(1, radius / np.maximum(lengths, _TINY))
    return _cut(inside, pixels)


def fgsm(gradient: Array, pixels: Array, epsilon: float | Array, norm: Norm) -> Array:
    """Perturb by one step along the gradient at the clean pictures."""
    radius = np.asarray(epsilon, np.float32).reshape(-1, 1, 1, 1)
    return project(radius * direction(gradient, norm), pixels, epsilon, norm)


def pgd(
    gradient: Gradient,
    pixels: Array,
    epsilon: float | Array,
    norm: Norm,
    steps: int,
    mask: Array | None = None,
    start: Array | None = None,
) -> Iterator[Array]:
    """Perturb in steps, each along the gradient where the last one led, and back into the ball.

    Args:
        gradient: Of z.
        pixels: The clean pictures.
        epsilon: The ball's radius, one for all or [B].
        norm: Of the ball.
        steps: How many; 1 or more.
        mask: [H, W] or broadcast to the pixels, 0 where nothing may change; none by default.
        start: The perturbation to start from, inside the mask; brought into the ball and the range
            of pixels first. That of the clean pictures, 0, by default.

    Yields:
        The perturbation after each step.
    """
    length = np.asarray(epsilon, np.float32).reshape(-1, 1, 1, 1) * min(1.0, _STEP / steps)
    perturbation = np.zeros_like(pixels)
    if start is not None:
        perturbation = project(start, pixels, epsilon, norm)
    allowed = np.float32(1) if mask is None else _of_pixels(mask)
    for _ in range(steps):
        slope = gradient(pixels + perturbation) * allowed
        moved = perturbation + length * direction(slope, norm)
        perturbation = project(moved, pixels, epsilon, norm)
        yield perturbation


def noise(random: np.random.Generator, pixels: Array, epsilon: float | Array, norm: Norm) -> Array:
    """Perturb at random, by noise that has the norm epsilon when it is cut to the range of pixels.

    Random signs in L-inf, as an attack's are; a random direction in L2, which is lengthened by what
    the cut takes off it. Where the range leaves no room for epsilon, as far as it goes.
    """
    radius = np.broadcast_to(np.asarray(epsilon, np.float32).reshape(-1), len(pixels))
    drawn = direction(np.asarray(random.normal(size=pixels.shape), np.float32), norm)
    length = radius.copy()
    for _ in range(_LENGTHENINGS):
        perturbation = _cut(length[:, None, None, None] * drawn, pixels)
        reached = norms(perturbation, norm)
        if np.all(np.abs(reached - radius) <= _EXACT * radius + _ROUNDING):
            break
        length *= radius / np.maximum(reached, _TINY)
    return _cut(length[:, None, None, None] * drawn, pixels)


def _cut(perturbation: Array, pixels: Array) -> Array:
    return np.asarray(np.clip(pixels + perturbation, 0, WHITE) - pixels, np.float32)


def _of_pixels(mask: Array) -> Array:
    return mask[..., None] if mask.ndim == 2 else mask
