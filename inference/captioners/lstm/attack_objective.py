"""The objective of an attack and its gradient; see `AttackObjective`."""

from typing import Any

import keras
import tensorflow as tf

from models.captioner import Decoder, State, forbidden_token_bias
from models.language import PAD, START

_NEVER = -1e9
"""A log-probability below all others."""


def objective_gradient(
    decoder: Decoder,
    grid: tf.Tensor,
    tokens: tf.Tensor,
    lowered: tf.Tensor,
    raised: tf.Tensor,
    first: tf.Tensor,
) -> tf.Tensor:
    """Differentiate z with respect to the grid, through all previous steps.

    Args:
        decoder: The decoder; dropout is off.
        grid: float32 [1, rows, columns, channels].
        tokens: int32 [T], see `AttackObjective`, like the other arguments.
        lowered: int32 [T].
        raised: int32 [].
        first: int32 [].

    Returns:
        dz/dA, float32 [1, rows, columns, channels].
    """
    with tf.GradientTape() as tape:
        tape.watch(grid)
        z = objective(decoder, grid, tokens, lowered, raised, first)
    return tape.gradient(z, grid)


def objective(
    decoder: Decoder,
    grid: tf.Tensor,
    tokens: tf.Tensor,
    lowered: tf.Tensor,
    raised: tf.Tensor,
    first: tf.Tensor,
) -> tf.Tensor:
    """Compute z, float32 []; see `objective_gradient`."""
    memory = decoder.build_memory(grid)
    before = decoder.embedding(tf.concat([[START], tokens[:-1]], axis=0))
    forbidden = tf.constant(forbidden_token_bias(decoder.config.vocabulary_size))
    is_raised = tf.range(decoder.config.vocabulary_size) == raised

    lowest = tf.constant(2 * _NEVER)

    def unfinished(place: tf.Tensor, *_: Any) -> tf.Tensor:
        return place < tf.shape(tokens)[0]

    def advance(
        place: tf.Tensor, z: tf.Tensor, closeness: tf.Tensor, *state: Any
    ) -> tuple[Any, ...]:
        readout, _, new_state = decoder.advance(before[place][None, None], State(*state), memory)
        log_probs = keras.ops.log_softmax(decoder.logits(readout)[0, 0] + forbidden)
        present = tf.cast(lowered[place] != PAD, tf.float32)
        z -= present * log_probs[lowered[place]]
        other = tf.reduce_max(tf.where(is_raised, _NEVER, log_probs))
        here = tf.where(place < first, lowest, log_probs[raised] - other)
        closeness = tf.maximum(closeness, here)
        return place + 1, z, closeness, *new_state

    # A loop, not unrolled as in `Decoder.teacher_force`: one graph for captions of all lengths.
    start = (tf.constant(0), tf.constant(0.0), lowest, *decoder.initial_state(memory, 1))
    _, z, closeness, *_ = tf.while_loop(unfinished, advance, start)
    return z + tf.where(raised != PAD, closeness, 0.0)
