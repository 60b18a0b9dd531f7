"""Captions drawn at random from the decoder, word by word."""

from typing import Any

import keras
from keras import KerasTensor, ops

from models.decoder import Decoder, State
from models.vocabulary import END, PAD, START, UNKNOWN

_IMPOSSIBLE = -1e9


def sample(
    decoder: Decoder,
    grid: KerasTensor,
    captions: int,
    length: int,
    seed: keras.random.SeedGenerator,
) -> KerasTensor:
    """Draw captions of each grid from p(word | picture, words before).

    Args:
        decoder: The decoder; dropout is off.
        grid: float32 [B, rows, columns, channels].
        captions: How many of each.
        length: Words of a caption at most, its end included.
        seed: Where chance comes from.

    Returns:
        int32 [B, captions, length]: the words, their end, then padding. Of the special words only
        the end is drawn.
    """
    memory = decoder.remember(grid)
    batch = ops.shape(grid)[0]
    silent = ops.sum(
        ops.one_hot(ops.array([PAD, START, UNKNOWN]), decoder.config.vocabulary_size), axis=0
    )
    start = (
        ops.convert_to_tensor(0),
        ops.full((batch, captions), START, "int32"),
        ops.zeros((batch, captions), "bool"),
        decoder.start(memory, captions),
        ops.full((batch, captions, length), PAD, "int32"),
    )

    def unfinished(position: Any, tokens: Any, done: Any, *_: Any) -> Any:
        return ops.logical_not(ops.all(done))

    def extend(position: Any, tokens: Any, done: Any, state: Any, said: Any) -> tuple[Any, ...]:
        step = decoder.step(tokens, state, memory)
        logits = ops.cast(step.logits, "float32") + silent * _IMPOSSIBLE
        flat = ops.reshape(logits, (-1, logits.shape[-1]))
        drawn = ops.reshape(keras.random.categorical(flat, 1, seed=seed), (batch, captions))
        tokens = ops.where(done, PAD, ops.cast(drawn, "int32"))
        said = ops.where(ops.arange(length) == position, tokens[..., None], said)
        done = ops.logical_or(done, tokens == END)
        state = State(*(ops.cast(part, "float32") for part in step.state))
        return position + 1, tokens, done, state, said

    *_, said = ops.while_loop(unfinished, extend, start, maximum_iterations=length)
    return said
