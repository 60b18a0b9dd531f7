"""The logits that the z of a word, a contrast or a caption is a sum of.

What an attack raises: a number z of the grid, and its gradient.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from inference.explanations.target import Target
from models.captioner import Decoder, State, silencing
from models.language import PAD, SPECIAL_WORDS, START, Vocabulary

_NEVER = -1e9


class Terms(NamedTuple):
    """z is the sum over a caption's places of the logit of one word less that of another.

    Where there is no such term the word is `PAD`.
    """

    plus: NDArray[np.int32]
    """[T], of the words whose logits are added."""
    minus: NDArray[np.int32]
    """[T], of those whose logits are taken off."""


def terms(target: Target, words: Sequence[int], vocabulary: Vocabulary) -> Terms:
    """Resolve a target that is no tag.

    Args:
        target: Of the kinds `word`, `contrast` or `caption`.
        words: The caption's tokens, without its end.
        vocabulary: What they are ids of.

    Returns:
        The terms, T up to the last place that has one.

    Raises:
        ValueError: If there is no such place in the caption, or no such word.
    """
    if target.kind == "caption":
        if not words:
            raise ValueError("a caption without words cannot be explained")
        return Terms(np.array(words, np.int32), np.full(len(words), PAD, np.int32))
    place = _place(target, words)
    found = Terms(*(np.full(place + 1, PAD, np.int32) for _ in Terms._fields))
    found.plus[place] = words[place]
    if target.kind == "contrast":
        found.minus[place] = _other_word(target, words[place], vocabulary)
    return found


def _place(target: Target, words: Sequence[int]) -> int:
    if target.index is None or not 0 <= target.index < len(words):
        raise ValueError(f"the caption has {len(words)} words, none at {target.index}")
    return target.index


def _other_word(target: Target, said: int, vocabulary: Vocabulary) -> int:
    if target.text is None or target.text in SPECIAL_WORDS or target.text not in vocabulary.words:
        raise ValueError(f"the captioner does not know the word {target.text!r}")
    other = vocabulary.words.index(target.text)
    if other == said:
        raise ValueError(f"{target.text!r} is what it said: there is nothing to tell apart")
    return other


class Objective(NamedTuple):
    """z = - sum over t of log p(lowered_t | words before) + how near the raised word is.

    The words before are those of `tokens`. The raised word is as near as it gets in any place t:
    the greatest of log p_t(raised) - log p_t(the likeliest other word), which is above 0 where it
    is the likeliest (the keyword loss of Chen et al., "Attacking Visual Language Grounding with
    Adversarial Examples: A Case Study on Neural Image Captioning", ACL 2018).
    """

    tokens: NDArray[np.int32]
    """[T]: the caption that is told, as far as it matters."""
    lowered: NDArray[np.int32]
    """[T]: words that are to become unlikely in their places; `PAD` where none is."""
    raised: int = PAD
    """The word that is to come up; `PAD` if none is."""


def objective_gradient(
    decoder: Decoder,
    grid: tf.Tensor,
    tokens: tf.Tensor,
    lowered: tf.Tensor,
    raised: tf.Tensor,
) -> tf.Tensor:
    """Differentiate z to the grid, through all that the words before have read.

    Args:
        decoder: The decoder; dropout is off.
        grid: float32 [1, rows, columns, channels].
        tokens: int32 [T], see `Objective`, and so on.
        lowered: int32 [T].
        raised: int32 [].

    Returns:
        dz/dA, float32 [1, rows, columns, channels].
    """
    with tf.GradientTape() as tape:
        tape.watch(grid)
        z = objective(decoder, grid, tokens, lowered, raised)
    return tape.gradient(z, grid)


def objective(
    decoder: Decoder,
    grid: tf.Tensor,
    tokens: tf.Tensor,
    lowered: tf.Tensor,
    raised: tf.Tensor,
) -> tf.Tensor:
    """Compute z, float32 []; see `objective_gradient`."""
    memory = decoder.remember(grid)
    before = decoder.embedding(tf.concat([[START], tokens[:-1]], axis=0))
    silence = tf.constant(silencing(decoder.config.vocabulary_size))
    is_raised = tf.range(decoder.config.vocabulary_size) == raised

    def unfinished(place: tf.Tensor, *_: Any) -> tf.Tensor:
        return place < tf.shape(tokens)[0]

    def advance(place: tf.Tensor, z: tf.Tensor, near: tf.Tensor, *state: Any) -> tuple[Any, ...]:
        read, _, handed_on = decoder.advance(before[place][None, None], State(*state), memory)
        log_probs = keras.ops.log_softmax(decoder.logits(read)[0, 0] + silence)
        there = tf.cast(lowered[place] != PAD, tf.float32)
        z -= there * log_probs[lowered[place]]
        other = tf.reduce_max(tf.where(is_raised, _NEVER, log_probs))
        near = tf.maximum(near, log_probs[raised] - other)
        return place + 1, z, near, *handed_on

    # A loop, where teacher forcing unrolls its steps: one graph for captions of all lengths.
    nowhere = tf.constant(2 * _NEVER)
    start = (tf.constant(0), tf.constant(0.0), nowhere, *decoder.start(memory, 1))
    _, z, near, *_ = tf.while_loop(unfinished, advance, start)
    return z + tf.where(raised != PAD, near, 0.0)
