"""Gradients of a captioner's logits at the grid and at the pixels, as compiled graphs.

Each graph is compiled once per captioner, on first use.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from inference.captioners.lstm.attack_objective import objective_gradient
from inference.captioners.lstm.direct_cam import (
    ClassActivationMaps,
    attention_weights,
    direct_cams,
)
from inference.captioning.objective import AttackObjective, LogitTerms
from models.calibration import Tagger
from models.captioner import Captioner, Decoder, State
from models.graph import graph
from models.language import END, PAD, START

Array = NDArray[np.float32]
Tokens = NDArray[np.int32]


def caption_logits(
    decoder: Decoder, grids: tf.Tensor, tokens: tf.Tensor, plus: tf.Tensor, minus: tf.Tensor
) -> tf.Tensor:
    """Sum the logits of a caption's words, differentiably in the grids.

    Args:
        decoder: The decoder; dropout is off.
        grids: float32 [B, rows, columns, channels].
        tokens: int32 [T]: the caption, up to the last word with a term.
        plus: int32 [T]: words whose logits are added, see `LogitTerms`.
        minus: int32 [T]: words whose logits are subtracted.

    Returns:
        float32 [B]: z of each grid.
    """
    memory = decoder.build_memory(grids)
    before = decoder.embedding(tf.concat([[START], tokens[:-1]], axis=0))
    batch = tf.shape(grids)[0]

    def unfinished(place: tf.Tensor, *_: Any) -> tf.Tensor:
        return place < tf.shape(tokens)[0]

    def advance(place: tf.Tensor, z: tf.Tensor, *state: Any) -> tuple[Any, ...]:
        embedded = tf.tile(before[place][None, None], (batch, 1, 1))
        readout, _, new_state = decoder.advance(embedded, State(*state), memory)
        for sign, words in ((1.0, plus), (-1.0, minus)):
            present = tf.cast(words[place] != PAD, tf.float32)
            z += sign * present * decoder.word_logits(readout[:, 0], words[place])
        return place + 1, z, *new_state

    # A loop, not unrolled as in `Decoder.teacher_force`: one graph for captions of all lengths.
    start = (tf.constant(0), tf.zeros(batch), *decoder.initial_state(memory, 1))
    return tf.while_loop(unfinished, advance, start)[1]


def caption_gradient(
    decoder: Decoder, grid: tf.Tensor, tokens: tf.Tensor, plus: tf.Tensor, minus: tf.Tensor
) -> tf.Tensor:
    """Differentiate z with respect to the grid, through all previous steps ("total").

    Args:
        decoder: As in `caption_logits`, like the other arguments.
        grid: float32 [1, rows, columns, channels].
        tokens: int32 [T].
        plus: int32 [T].
        minus: int32 [T].

    Returns:
        dz/dA, float32 [1, rows, columns, channels].
    """
    with tf.GradientTape() as tape:
        tape.watch(grid)
        z = caption_logits(decoder, grid, tokens, plus, minus)
    return tape.gradient(z, grid)


def tag_gradient(tagger: Tagger, grid: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Differentiate a tag's log-odds with respect to the grid.

    `index` is the tag's index in `models.tag_kinds.tag_kinds()`. The grid is float32
    [1, rows, columns, channels], and so is dz/dA.
    """
    with tf.GradientTape() as tape:
        tape.watch(grid)
        z = tagger.logits(grid)[:, index]
    return tape.gradient(z, grid)


def pixel_gradient(encoder: keras.Model, pixels: tf.Tensor, grid_gradient: tf.Tensor) -> tf.Tensor:
    """Backpropagate a gradient at the grid to the pixels.

    Args:
        encoder: The encoder, which runs in inference mode.
        pixels: float32 [1, S, S, 3] in 0..255.
        grid_gradient: dz/dA, float32 [1, rows, columns, channels].

    Returns:
        dz/dx, float32 [1, S, S, 3], per grey level.
    """
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        grid = encoder(pixels, training=False)
    return tape.gradient(grid, pixels, output_gradients=grid_gradient)


class Graphs:
    """The graphs of one captioner, called with arrays and returning arrays."""

    def __init__(self, captioner: Captioner, tagger: Tagger | None) -> None:
        """Build the graphs without compiling them; later changes of the weights take effect."""
        encoder, decoder = captioner.encoder, captioner.decoder
        grid = encoder.output_shape[1:]
        grids, one_grid = (tf.TensorSpec((count, *grid), tf.float32) for count in (None, 1))
        words, rows_of_words = (
            tf.TensorSpec((None,) * rank, tf.int32, name=f"words{rank}") for rank in (1, 2)
        )
        hidden = tf.TensorSpec((None, None, decoder.config.width), tf.float32)
        pixels = tf.TensorSpec((1, *encoder.input_shape[1:]), tf.float32)
        number = tf.TensorSpec((), tf.int32)

        cam_signature = [grids, hidden, rows_of_words, rows_of_words]
        self._cam = {
            name: graph(_cam(decoder, name), input_signature=cam_signature)
            for name in ClassActivationMaps._fields
        }
        self._attention = graph(
            lambda *inputs: attention_weights(decoder, *inputs), input_signature=[grids, hidden]
        )
        self._gradient = graph(
            lambda *inputs: caption_gradient(decoder, *inputs),
            input_signature=[one_grid, words, words, words],
        )
        self._pixel_gradient = graph(
            lambda *inputs: pixel_gradient(encoder, *inputs), input_signature=[pixels, one_grid]
        )
        self._attack = graph(
            lambda *inputs: objective_gradient(decoder, *inputs),
            input_signature=[one_grid, words, words, number, number],
        )
        if tagger:
            self._tag_logits = graph(tagger.logits, input_signature=[grids])
            self._tag_gradient = graph(
                lambda *inputs: tag_gradient(tagger, *inputs),
                input_signature=[one_grid, number],
            )
        self._shapes = (1, *encoder.input_shape[1:]), (1, *grid)

    def warm_up(self) -> None:
        """Compile the gradients at the pixels ahead of their first use, which takes seconds."""
        pixels, grid = (np.zeros(shape, np.float32) for shape in self._shapes)
        words = np.array([END], np.int32)
        self.caption_gradient(grid[0], words, LogitTerms(words, words))
        self.attack_gradient(grid[0], AttackObjective(words, words))
        self.pixel_gradient(pixels[0], grid[0])

    def direct_cam(self, name: str, grids: Array, hidden: Array, terms: LogitTerms) -> Array:
        """Compute one field of `direct_cams`: terms [B, T] each; [B, T, rows, columns]."""
        return np.asarray(self._cam[name](grids, hidden, *terms))

    def attention_weights(self, grids: Array, hidden: Array) -> Array:
        """See `attention_weights`: grids [B, ...], hidden [B, T, W]; [B, T, rows, columns]."""
        return np.asarray(self._attention(grids, hidden))

    def caption_gradient(self, grid: Array, tokens: Tokens, terms: LogitTerms) -> Array:
        """See `caption_gradient`: of a single grid [rows, columns, channels]."""
        return np.asarray(self._gradient(grid[None], tokens, *terms)[0])

    def attack_gradient(self, grid: Array, objective: AttackObjective) -> Array:
        """See `objective_gradient`: of a single grid [rows, columns, channels]."""
        tokens, lowered, raised, first = objective
        numbers = np.int32(raised), np.int32(first)
        return np.asarray(self._attack(grid[None], tokens, lowered, *numbers)[0])

    def tag_logits(self, grids: Array) -> Array:
        """See `Tagger.logits`: grids [B, ...]; [B, len(tag_kinds())]."""
        return np.asarray(self._tag_logits(grids))

    def tag_gradient(self, grid: Array, index: int) -> Array:
        """See `tag_gradient`: of a single grid [rows, columns, channels]."""
        return np.asarray(self._tag_gradient(grid[None], np.int32(index))[0])

    def pixel_gradient(self, pixels: Array, grid_gradient: Array) -> Array:
        """See `pixel_gradient`: pixels [S, S, 3], gradient [rows, columns, channels]."""
        return np.asarray(self._pixel_gradient(pixels[None], grid_gradient[None])[0])


def _cam(decoder: Decoder, name: str) -> Callable[..., tf.Tensor]:
    """Return a function that computes one field; what only the others need is pruned."""
    return lambda *inputs: getattr(direct_cams(decoder, *inputs), name)
