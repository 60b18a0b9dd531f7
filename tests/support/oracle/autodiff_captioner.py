"""The captioner once more, step by step and for one word at a time, to be differentiated."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from inference.explanations.subject import Subject
from models.captioner.decoder import Decoder, State
from models.language.vocabulary import START

Logits = Callable[[tf.Tensor], tf.Tensor]


def direct_logits(decoder: Decoder, grid: tf.Tensor, words: tuple[int, ...]) -> list[tf.Tensor]:
    """Logits [V] at each word's place, with nothing to be felt through the steps before."""
    memory = decoder.remember(tf.identity(grid))
    state, before, found = decoder.start(memory, 1), START, []
    for word in words:
        handed_on = State(*map(tf.stop_gradient, state))
        step = decoder.step(tf.constant([[before]]), handed_on, memory)
        found.append(step.logits[0, 0])
        state, before = step.state, word
    return found


def gradient_at_grid(subject: Subject, z: Logits) -> NDArray[np.float32]:
    """dz/dA at the encoder's own grid, [rows, columns, channels]."""
    grid = tf.constant(subject.grid[None])
    with tf.GradientTape() as tape:
        tape.watch(grid)
        value = z(grid)
    return np.asarray(tape.gradient(value, grid)[0], np.float32)


class WordLogits(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types.
    """From a grid to the logits of each word of a caption, given the words before: [B, T, V]."""

    def __init__(self, decoder: Decoder, words: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.decoder, self.words = decoder, tf.constant([[words]])

    def call(self, grid: tf.Tensor) -> tf.Tensor:  # noqa: D102
        return self.decoder((grid, self.words))[:, 0]


class DirectWordLogits(keras.layers.Layer):  # type: ignore[misc]
    """The same, with what each step was handed by the one before given as constants."""

    def __init__(self, subject: Subject, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.decoder = subject.model.captioner.decoder
        self.before = (START, *subject.words[:-1])
        self.states = list(self._states(subject.grid))

    def _states(self, grid: NDArray[np.float32]) -> Any:
        memory = self.decoder.remember(tf.constant(grid[None]))
        state = self.decoder.start(memory, 1)
        for before in self.before:
            yield State(*(tf.constant(np.asarray(part)) for part in state))
            state = self.decoder.step(tf.constant([[before]]), state, memory).state

    def call(self, grid: tf.Tensor) -> tf.Tensor:  # noqa: D102
        memory = self.decoder.remember(grid)
        steps = [
            self.decoder.step(tf.constant([[before]]), state, memory).logits[:, 0]
            for before, state in zip(self.before, self.states, strict=True)
        ]
        return tf.stack(steps, axis=1)


def pixels_to_words(subject: Subject, layer: keras.layers.Layer) -> keras.Model:
    """A model of one input and one output, as libraries for image classifiers expect it."""
    encoder = subject.model.captioner.encoder
    return keras.Model(encoder.input, layer(encoder.output))
