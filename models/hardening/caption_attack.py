"""Attacks on the captions of batches of images, on TensorFlow, which differentiates to the pixels.

An attack makes the captioner's own caption of an image improbable.
"""

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.attacks import Norm, pgd
from models.captioner import Decoder, State
from models.graph import graph
from models.language import PAD, START


class CaptionAttack:
    """Lowers the log-probability of captions by perturbing images: PGD in L-inf."""

    norm: Norm = "linf"

    def __init__(self, encoder: keras.Model, decoder: Decoder) -> None:
        """Attack a decoder through its encoder."""
        self._encoder, self._decoder = encoder, decoder
        self._compiled = graph(
            self._gradient,
            input_signature=[
                tf.TensorSpec((None, *encoder.input_shape[1:]), tf.float32),
                tf.TensorSpec((None, None), tf.int32),
            ],
        )

    def perturb(
        self,
        pixels: NDArray[np.float32],
        tokens: NDArray[np.int32],
        epsilon: float | NDArray[np.float32],
        steps: int,
    ) -> NDArray[np.float32]:
        """Attack images.

        Args:
            pixels: [B, S, S, 3] in 0..255.
            tokens: The captions, [B, T], padded.
            epsilon: One for all or [B], in grey levels.
            steps: Number of PGD steps.

        Returns:
            The perturbations, [B, S, S, 3].
        """
        length = int((tokens != PAD).sum(axis=1).max())
        captions = tf.constant(tokens[:, :length])

        def gradient(perturbed: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.asarray(self._compiled(tf.constant(perturbed), captions))

        *_, last = pgd(gradient, pixels, epsilon, self.norm, steps)
        return last

    def _gradient(self, pixels: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            grid = self._encoder(pixels, training=False)
            z = -_log_prob(self._decoder, grid, tokens)
        return tape.gradient(z, pixels)


def _log_prob(decoder: Decoder, grids: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
    """Sum the log-probabilities of captions of any length."""
    memory = decoder.build_memory(grids)
    start = tf.fill(tf.shape(tokens[:, :1]), START)
    before = decoder.embedding(tf.concat([start, tokens[:, :-1]], axis=1))

    def unfinished(position: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return position < tf.shape(tokens)[1]

    def advance(position: tf.Tensor, total: tf.Tensor, *state: tf.Tensor) -> tuple[tf.Tensor, ...]:
        embedded = before[:, position][:, None]
        readout, _, new_state = decoder.advance(embedded, State(*state), memory)
        log_probs = tf.nn.log_softmax(decoder.logits(readout)[:, 0])
        word_log_probs = tf.gather(log_probs, tokens[:, position], batch_dims=1)
        total += tf.reduce_sum(tf.where(tokens[:, position] != PAD, word_log_probs, 0.0))
        return position + 1, total, *new_state

    # A loop, not the unrolled teacher forcing: one graph for captions of all lengths.
    return tf.while_loop(
        unfinished, advance, (tf.constant(0), tf.constant(0.0), *decoder.initial_state(memory, 1))
    )[1]
