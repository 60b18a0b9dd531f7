"""What concepts look like, drawn by the encoder itself: no photograph goes in.

Activation maximisation (Erhan et al., Visualizing Higher-Layer Features of a Deep Network, 2009)
as Olah et al. do it (Feature Visualization, Distill 2017): gradient ascent on the frequencies of a
picture that begins as faint noise, with colours decorrelated and the picture shifted a little at
every step. What is climbed is the mean over the cells of A . v, times the cosine of A and v, so
that the picture shows the direction and not merely much of everything.
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
"""Pixels of a picture's side."""


_DRAWN = 160
"""Of what is drawn, whatever size the captioner sees: its encoder is convolutional."""


_STEPS, _RATE, _JITTER, _FAINT = 64, 0.008, 16, 0.01


_DECAY = 1.2
"""Of the amplitudes of natural images with frequency, about; so that shapes come before grain."""


_COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]], np.float32)
"""Lightness, blue to yellow, green to magenta, by how much natural images vary in each: [RGB, 3],
as measured on ImageNet by Olah et al. (2017)."""


class Drawing:
    """Draws what an encoder sees in directions of its grid's channels."""

    def __init__(self, captioner: Captioner) -> None:
        """Take over the encoder's weights as they are now."""
        self._encoder = make_encoder(captioner.config.encoder, _DRAWN)
        self._encoder.set_weights(captioner.encoder.get_weights())
        self._ascend = graph(self._gradient, reduce_retracing=True)

    def draw(self, directions: NDArray[np.float32], seed: int) -> list[NDArray[np.uint8]]:
        """Draw a picture of each direction.

        Args:
            directions: [K, channels], of any length but 0.
            seed: Of the noise that they begin with, and of the shifts.

        Returns:
            RGB, uint8 [SIDE, SIDE, 3] each.
        """
        random = np.random.default_rng(seed)
        units = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        shape = (len(units), 3, _DRAWN, _DRAWN // 2 + 1)
        noise = random.normal(0, _FAINT, (2, *shape)).astype(np.float32)
        spectrum = tf.Variable(noise)
        optimizer = keras.optimizers.Adam(_RATE)
        for _ in range(_STEPS):
            shift = random.integers(-_JITTER, _JITTER + 1, 2).astype(np.int32)
            optimizer.apply([self._ascend(spectrum, tf.constant(units), shift)], [spectrum])
        drawn = np.asarray(_pixels(spectrum))
        return [
            np.rint(cv2.resize(each, (SIDE, SIDE), interpolation=cv2.INTER_AREA)).astype(np.uint8)
            for each in drawn
        ]

    def _gradient(self, spectrum: tf.Tensor, units: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
        """Of what is to become small: less is more of the concepts."""
        with tf.GradientTape() as tape:
            tape.watch(spectrum)
            pixels = tf.roll(_pixels(spectrum), shift, axis=(1, 2))
            grid = self._encoder(pixels, training=False)
            along = tf.einsum("krsc,kc->krs", grid, units)
            cosine = along / (tf.norm(grid, axis=-1) + 1e-3)
            loss = -tf.reduce_sum(tf.reduce_mean(along * tf.maximum(cosine, 0.1), axis=(1, 2)))
        return tape.gradient(loss, spectrum)


def _pixels(spectrum: tf.Tensor) -> tf.Tensor:
    """From frequencies [2, K, 3, S, S/2 + 1] to RGB in 0..255, [K, S, S, 3]."""
    side = _DRAWN
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    scale = (side * np.maximum(frequency, 1 / side) ** -_DECAY).astype(np.float32)
    planes = tf.signal.irfft2d(tf.complex(spectrum[0] * scale, spectrum[1] * scale))
    colours = tf.einsum("kcxy,dc->kxyd", planes, _COLOURS / np.abs(_COLOURS).sum())
    return 255 * tf.sigmoid(4 * colours)
