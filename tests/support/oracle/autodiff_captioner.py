"""A slow reference implementation of the captioner for automatic differentiation, word by word."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.captioner.decoder import Decoder, State
from models.language import START
from tests.support.captioners.lstm import LstmCaptionedImage

Logits = Callable[[tf.Tensor], tf.Tensor]


def direct_logits(decoder: Decoder, grid: tf.Tensor, words: tuple[int, ...]) -> list[tf.Tensor]:
    """Return the logits [V] at each word's place, without gradients through the previous steps."""
    memory = decoder.build_memory(tf.identity(grid))
    state, before, found = decoder.initial_state(memory, 1), START, []
    for word in words:
        constant = State(*map(tf.stop_gradient, state))
        step = decoder.step(tf.constant([[before]]), constant, memory)
        found.append(step.logits[0, 0])
        state, before = step.state, word
    return found


def gradient_at_grid(subject: LstmCaptionedImage, z: Logits) -> NDArray[np.float32]:
    """Return dz/dA at the encoder's output, [rows, columns, channels]."""
    grid = tf.constant(subject.grid[None])
    with tf.GradientTape() as tape:
        tape.watch(grid)
        value = z(grid)
    return np.asarray(tape.gradient(value, grid)[0], np.float32)


class WordLogits(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types.
    """From a grid to the logits of each word of a caption, given the previous words: [B, T, V]."""

    def __init__(self, decoder: Decoder, words: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.decoder, self.words = decoder, tf.constant([[words]])

    def call(self, grid: tf.Tensor) -> tf.Tensor:  # noqa: D102
        return self.decoder((grid, self.words))[:, 0]


class DirectWordLogits(keras.layers.Layer):  # type: ignore[misc]
    """The same, with the state that each step receives from the previous one held constant."""

    def __init__(self, subject: LstmCaptionedImage, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.decoder = subject.model.captioner.decoder
        self.before = (START, *subject.words[:-1])
        self.states = list(self._states(subject.grid))

    def _states(self, grid: NDArray[np.float32]) -> Any:
        memory = self.decoder.build_memory(tf.constant(grid[None]))
        state = self.decoder.initial_state(memory, 1)
        for before in self.before:
            yield State(*(tf.constant(np.asarray(part)) for part in state))
            state = self.decoder.step(tf.constant([[before]]), state, memory).state

    def call(self, grid: tf.Tensor) -> tf.Tensor:  # noqa: D102
        memory = self.decoder.build_memory(grid)
        steps = [
            self.decoder.step(tf.constant([[before]]), state, memory).logits[:, 0]
            for before, state in zip(self.before, self.states, strict=True)
        ]
        return tf.stack(steps, axis=1)


def pixels_to_words(subject: LstmCaptionedImage, layer: keras.layers.Layer) -> keras.Model:
    """Return a model with one input and one output, as libraries for image classifiers need it."""
    encoder = subject.model.captioner.encoder
    return keras.Model(encoder.input, layer(encoder.output))
