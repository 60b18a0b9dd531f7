"""Adversarial perturbations of images: FGSM, PGD and random noise, within a norm ball.

The fast gradient sign method: Goodfellow et al., "Explaining and Harnessing Adversarial Examples"
(ICLR 2015), and in the L2 norm Miyato et al. (ICLR 2017). Projected gradient descent: Madry et al.,
"Towards Deep Learning Models Resistant to Adversarial Attacks" (ICLR 2018). An attack raises an
objective z of each image, which the caller differentiates.

Shapes: pixels, perturbations and gradients are float32 [B, H, W, 3]. Pixels, perturbations and
epsilons are in grey levels, 0..255.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

Norm = Literal["linf", "l2"]
"""The largest absolute value, or the root of the sum of squares, over pixels and channels."""

Gradient = Callable[[Array], Array]
"""The gradient of z at given pixels."""

WHITE = 255.0

_TINY = 1e-12

_STEP = 2.5
"""PGD's step size, times epsilon over the number of steps: large enough to reach the boundary from
anywhere inside the ball and to move along it (Madry et al.)."""

_NOISE_ITERATIONS = 30
"""Maximum rescalings of noise. Two or three suffice unless most pixels are black or white."""

_RELATIVE_TOLERANCE, _ABSOLUTE_TOLERANCE = 1e-5, 2e-5
"""How close the norm of noise must be to epsilon, relatively and in grey levels. Single precision
has no finer resolution near white."""


def norms(perturbation: Array, norm: Norm) -> Array:
    """Return the norm of each perturbation [B]."""
    flat = perturbation.reshape(len(perturbation), -1)
    if norm == "linf":
        return np.asarray(np.abs(flat).max(axis=1), np.float32)
    return np.asarray(np.linalg.norm(flat, axis=1), np.float32)


def direction(gradient: Array, norm: Norm) -> Array:
    """Return the step of norm 1 along which z rises fastest; 0 where the gradient is 0."""
    if norm == "linf":
        return np.sign(gradient)
    lengths = norms(gradient, "l2")[:, None, None, None]
    return np.asarray(gradient / np.maximum(lengths, _TINY), np.float32)


def project(perturbation: Array, pixels: Array, epsilon: float | Array, norm: Norm) -> Array:
    """Project perturbations into the norm ball and the range of pixels.

    Args:
        perturbation: Of any size.
        pixels: The clean images.
        epsilon: The ball's radius, one for all or [B].
        norm: The ball's norm.

    Returns:
        The nearest perturbation in the ball, clipped to the range, which only shortens it.
    """
    radius = np.asarray(epsilon, np.float32).reshape(-1, 1, 1, 1)
    if norm == "linf":
        inside = np.clip(perturbation, -radius, radius)
    else:
        lengths = norms(perturbation, "l2")[:, None, None, None]
        inside = perturbation * np.minimum(1, radius / np.maximum(lengths, _TINY))
    return _clip(inside, pixels)


def fgsm(gradient: Array, pixels: Array, epsilon: float | Array, norm: Norm) -> Array:
    """Perturb images by one step along the gradient at the clean images."""
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
    """Perturb images in steps, each along the gradient at the current point, then projected.

    Args:
        gradient: The gradient of z.
        pixels: The clean images.
        epsilon: The ball's radius, one for all or [B].
        norm: The ball's norm.
        steps: Number of steps, 1 or more.
        mask: [H, W] or broadcastable to the pixels, 0 where nothing may change. Default: no mask.
        start: The perturbation to start from, inside the mask. It is projected first. Default: 0,
            the clean images.

    Yields:
        The perturbation after each step.
    """
    length = np.asarray(epsilon, np.float32).reshape(-1, 1, 1, 1) * min(1.0, _STEP / steps)
    perturbation = np.zeros_like(pixels)
    if start is not None:
        perturbation = project(start, pixels, epsilon, norm)
    allowed = np.float32(1) if mask is None else _broadcast(mask)
    for _ in range(steps):
        masked_gradient = gradient(pixels + perturbation) * allowed
        step = length * direction(masked_gradient, norm)
        perturbation = project(perturbation + step, pixels, epsilon, norm)
        yield perturbation


def noise(random: np.random.Generator, pixels: Array, epsilon: float | Array, norm: Norm) -> Array:
    """Return random noise that has the norm epsilon after clipping to the range of pixels.

    In L-inf the noise is random signs, as in an attack. In L2 it is a random direction, lengthened
    to make up for clipping. Where the range leaves no room for epsilon, the norm is the largest
    possible.
    """
    radius = np.broadcast_to(np.asarray(epsilon, np.float32).reshape(-1), len(pixels))
    drawn = direction(np.asarray(random.normal(size=pixels.shape), np.float32), norm)
    length = radius.copy()
    for _ in range(_NOISE_ITERATIONS):
        perturbation = _clip(length[:, None, None, None] * drawn, pixels)
        reached = norms(perturbation, norm)
        if np.all(np.abs(reached - radius) <= _RELATIVE_TOLERANCE * radius + _ABSOLUTE_TOLERANCE):
            break
        length *= radius / np.maximum(reached, _TINY)
    return _clip(length[:, None, None, None] * drawn, pixels)


def _clip(perturbation: Array, pixels: Array) -> Array:
    return np.asarray(np.clip(pixels + perturbation, 0, WHITE) - pixels, np.float32)


def _broadcast(mask: Array) -> Array:
    return mask[..., None] if mask.ndim == 2 else mask
