"""Draw images of concepts by activation maximisation: no photograph is used.

Erhan et al., Visualizing Higher-Layer Features of a Deep Network, 2009, as done by Olah et al.,
Feature Visualization, Distill 2017: gradient ascent on the frequencies of an image that starts as
faint noise, with decorrelated colours and a small shift at every step. The objective is the mean
over the cells of A . v, times the cosine of A and v, so that the image shows this direction and not
simply strong activations everywhere.
"""

import cv2
import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.captioner import Captioner
from models.encoders import make_encoder
from models.graph import graph

SIDE = 96
"""Side of the images, in pixels."""

_RENDER_SIDE = 160
"""Side while rendering, whatever the captioner's image size: its encoder is convolutional."""

_STEPS, _LEARNING_RATE, _JITTER, _NOISE = 64, 0.008, 16, 0.01

_DECAY = 1.2
"""Approximate decay of the amplitudes of natural images with frequency, to favour shapes over
grain."""

_COLOUR_BASIS = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]], np.float32)
"""Lightness, blue to yellow, green to magenta, by how much natural images vary in each: [RGB, 3],
as measured on ImageNet by Olah et al. (2017)."""


class ConceptVisualiser:
    """Draws images that activate directions of the encoder's channels."""

    def __init__(self, captioner: Captioner) -> None:
        """Copy the encoder with its current weights."""
        self._encoder = make_encoder(captioner.config.encoder, _RENDER_SIDE)
        self._encoder.set_weights(captioner.encoder.get_weights())
        self._gradient_graph = graph(self._gradient, reduce_retracing=True)

    def visualise(self, directions: NDArray[np.float32], seed: int) -> list[NDArray[np.uint8]]:
        """Draw an image of each direction.

        Args:
            directions: [K, channels], of any length but 0.
            seed: Of the initial noise and of the shifts.

        Returns:
            RGB, uint8 [SIDE, SIDE, 3] each.
        """
        random = np.random.default_rng(seed)
        units = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        shape = (len(units), 3, _RENDER_SIDE, _RENDER_SIDE // 2 + 1)
        noise = random.normal(0, _NOISE, (2, *shape)).astype(np.float32)
        spectrum = tf.Variable(noise)
        optimizer = keras.optimizers.Adam(_LEARNING_RATE)
        for _ in range(_STEPS):
            shift = random.integers(-_JITTER, _JITTER + 1, 2).astype(np.int32)
            gradient = self._gradient_graph(spectrum, tf.constant(units), shift)
            optimizer.apply([gradient], [spectrum])
        rendered = np.asarray(_pixels(spectrum))
        return [
            np.rint(cv2.resize(each, (SIDE, SIDE), interpolation=cv2.INTER_AREA)).astype(np.uint8)
            for each in rendered
        ]

    def _gradient(self, spectrum: tf.Tensor, units: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
        """Differentiate the loss, which is lower where the concepts are more active."""
        with tf.GradientTape() as tape:
            tape.watch(spectrum)
            pixels = tf.roll(_pixels(spectrum), shift, axis=(1, 2))
            grid = self._encoder(pixels, training=False)
            projected = tf.einsum("krsc,kc->krs", grid, units)
            cosine = projected / (tf.norm(grid, axis=-1) + 1e-3)
            activation = tf.reduce_mean(projected * tf.maximum(cosine, 0.1), axis=(1, 2))
            loss = -tf.reduce_sum(activation)
        return tape.gradient(loss, spectrum)


def _pixels(spectrum: tf.Tensor) -> tf.Tensor:
    """Convert frequencies [2, K, 3, S, S/2 + 1] to RGB in 0..255, [K, S, S, 3]."""
    side = _RENDER_SIDE
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    scale = (side * np.maximum(frequency, 1 / side) ** -_DECAY).astype(np.float32)
    planes = tf.signal.irfft2d(tf.complex(spectrum[0] * scale, spectrum[1] * scale))
    colours = tf.einsum("kcxy,dc->kxyd", planes, _COLOUR_BASIS / np.abs(_COLOUR_BASIS).sum())
    return 255 * tf.sigmoid(4 * colours)
