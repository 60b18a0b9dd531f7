"""Gradients of a captioner: of logits to the grid, and from there to the pixels."""

from typing import Any

import keras
import tensorflow as tf

from models.decoder import Decoder, State
from models.tags import Tagger
from models.vocabulary import PAD, START


def caption_logits(
    decoder: Decoder, grids: tf.Tensor, tokens: tf.Tensor, plus: tf.Tensor, minus: tf.Tensor
) -> tf.Tensor:
    """Sum logits of the words of a caption, differentiably in the grids.

    Args:
        decoder: The decoder; dropout is off.
        grids: float32 [B, rows, columns, channels].
        tokens: int32 [T]: the caption, as far as it matters.
        plus: int32 [T]: words whose logits are added, see `Terms`.
        minus: int32 [T]: words whose logits are taken off.

    Returns:
        float32 [B]: z, for each grid.
    """
    memory = decoder.remember(grids)
    before = decoder.embedding(tf.concat([[START], tokens[:-1]], axis=0))
    batch = tf.shape(grids)[0]

    def unfinished(place: tf.Tensor, *_: Any) -> tf.Tensor:
        return place < tf.shape(tokens)[0]

    def advance(place: tf.Tensor, z: tf.Tensor, *state: Any) -> tuple[Any, ...]:
        embedded = tf.tile(before[place][None, None], (batch, 1, 1))
        read, _, handed_on = decoder.advance(embedded, State(*state), memory)
        for sign, words in ((1.0, plus), (-1.0, minus)):
            there = tf.cast(words[place] != PAD, tf.float32)
            z += sign * there * decoder.logits_of(read[:, 0], words[place])
        return place + 1, z, *handed_on

    # A loop, where teacher forcing unrolls its steps: one graph for captions of all lengths.
    start = (tf.constant(0), tf.zeros(batch), *decoder.start(memory, 1))
    return tf.while_loop(unfinished, advance, start)[1]


def caption_gradient(
    decoder: Decoder, grid: tf.Tensor, tokens: tf.Tensor, plus: tf.Tensor, minus: tf.Tensor
) -> tf.Tensor:
    """Differentiate z to the grid, through all that the words before have read ("total").

    Args:
        decoder: As `caption_logits` takes it, and so on.
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
    """Differentiate the log-odds of a tag, of that index in `models.tags.kinds`, to the grid.

    The grid is float32 [1, rows, columns, channels], and so is dz/dA.
    """
    with tf.GradientTape() as tape:
        tape.watch(grid)
        z = tagger.logits(grid)[:, index]
    return tape.gradient(z, grid)


def pixel_gradient(encoder: keras.Model, pixels: tf.Tensor, grid_gradient: tf.Tensor) -> tf.Tensor:
    """Carry a gradient at the grid on to the pixels.

    Args:
        encoder: The encoder; it computes as it does when it is used.
        pixels: float32 [1, S, S, 3] in 0..255.
        grid_gradient: dz/dA, float32 [1, rows, columns, channels].

    Returns:
        dz/dx, float32 [1, S, S, 3], per grey level.
    """
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        grid = encoder(pixels, training=False)
    return tape.gradient(grid, pixels, output_gradients=grid_gradient)
