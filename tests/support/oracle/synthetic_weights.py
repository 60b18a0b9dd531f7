"""Deterministic weights and images, the same on every machine."""

import zlib

import numpy as np
from numpy.typing import NDArray


def make_array(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Make the array of this name in a PyTorch state.

    Kernels preserve the scale of their input, and each normalisation shifts and scales slightly, so
    that a network with these weights neither dies nor saturates.
    """
    # NumPy guarantees that RandomState's numbers never change; a Generator's may.
    random = np.random.RandomState(zlib.crc32(name.encode()))
    values: NDArray[np.float64]
    if len(shape) == 4:
        fan_in = shape[1] * shape[2] * shape[3]
        values = random.standard_normal(shape) * np.sqrt(2 / fan_in)
    elif name.endswith("running_var"):
        values = random.uniform(0.5, 1.5, shape)
    elif name.endswith("weight"):
        values = random.uniform(0.6, 1.2, shape)
    else:
        values = random.uniform(-0.3, 0.5, shape)
    return values.astype(np.float32)


def make_image(side: int) -> NDArray[np.float32]:
    """Make an RGB image in whole numbers 0..255, [side, side, 3]: waves with noise."""
    y, x, channel = np.meshgrid(np.arange(side), np.arange(side), np.arange(3), indexing="ij")
    waves: NDArray[np.float64] = 127 + 80 * np.sin(x / 11 + channel) * np.cos(y / 17 - channel)
    noise = np.random.RandomState(side).uniform(-40, 40, waves.shape)
    return np.round(waves + noise).astype(np.float32)
