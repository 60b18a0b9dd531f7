"""The score z that is differentiated: a sum of logits for explanations, an attack's objective."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from inference.explanations.target import Target
from models.captioner import Decoder, State, forbidden_token_bias
from models.language import PAD, SPECIAL_WORDS, START, Vocabulary

_NEVER = -1e9
"""A log-probability below all others."""


class LogitTerms(NamedTuple):
    """z = the sum over a caption's places of the logit of one word less that of another.

    The word is `PAD` where there is no such term.
    """

    plus: NDArray[np.int32]
    """[T], words whose logits are added."""
    minus: NDArray[np.int32]
    """[T], words whose logits are subtracted."""


def logit_terms(target: Target, words: Sequence[int], vocabulary: Vocabulary) -> LogitTerms:
    """Resolve a target other than a tag.

    Args:
        target: Of kind `word`, `contrast` or `caption`.
        words: The caption's tokens, without the end token.
        vocabulary: The vocabulary of these tokens.

    Returns:
        The terms, with T up to the last place that has one.

    Raises:
        ValueError: If the caption has no word at this index, or the vocabulary has no such word.
    """
    if target.kind == "caption":
        if not words:
            raise ValueError("a caption without words cannot be explained")
        return LogitTerms(np.array(words, np.int32), np.full(len(words), PAD, np.int32))
    place = _place(target, words)
    found = LogitTerms(*(np.full(place + 1, PAD, np.int32) for _ in LogitTerms._fields))
    found.plus[place] = words[place]
    if target.kind == "contrast":
        found.minus[place] = _contrast_word(target, words[place], vocabulary)
    return found


def _place(target: Target, words: Sequence[int]) -> int:
    if target.index is None or not 0 <= target.index < len(words):
        raise ValueError(f"the caption has {len(words)} words, none at index {target.index}")
    return target.index


def _contrast_word(target: Target, word: int, vocabulary: Vocabulary) -> int:
    if target.text is None or target.text in SPECIAL_WORDS or target.text not in vocabulary.words:
        raise ValueError(f"the word {target.text!r} is not in the captioner's vocabulary")
    other = vocabulary.words.index(target.text)
    if other == word:
        raise ValueError(f"the caption already has {target.text!r} here; choose another word")
    return other


class AttackObjective(NamedTuple):
    """z = - sum over t of log p(lowered_t | previous words) + closeness of the raised word.

    The previous words are those of `tokens`. The raised word's closeness is the maximum over all
    places t of log p_t(raised) - log p_t(the most probable other word), which is above 0 where it
    is the most probable word (the keyword loss of Chen et al., "Attacking Visual Language Grounding
    with Adversarial Examples: A Case Study on Neural Image Captioning", ACL 2018).
    """

    tokens: NDArray[np.int32]
    """[T]: the caption, up to the last place that matters."""
    lowered: NDArray[np.int32]
    """[T]: words to make improbable in their places; `PAD` where there is none."""
    raised: int = PAD
    """The word to make probable in any place; `PAD` if there is none."""


def objective_gradient(
    decoder: Decoder,
    grid: tf.Tensor,
    tokens: tf.Tensor,
    lowered: tf.Tensor,
    raised: tf.Tensor,
) -> tf.Tensor:
    """Differentiate z with respect to the grid, through all previous steps.

    Args:
        decoder: The decoder; dropout is off.
        grid: float32 [1, rows, columns, channels].
        tokens: int32 [T], see `AttackObjective`, like the next two.
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
    memory = decoder.build_memory(grid)
    before = decoder.embedding(tf.concat([[START], tokens[:-1]], axis=0))
    forbidden = tf.constant(forbidden_token_bias(decoder.config.vocabulary_size))
    is_raised = tf.range(decoder.config.vocabulary_size) == raised

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
        closeness = tf.maximum(closeness, log_probs[raised] - other)
        return place + 1, z, closeness, *new_state

    # A loop, not unrolled as in `Decoder.teacher_force`: one graph for captions of all lengths.
    lowest = tf.constant(2 * _NEVER)
    start = (tf.constant(0), tf.constant(0.0), lowest, *decoder.initial_state(memory, 1))
    _, z, closeness, *_ = tf.while_loop(unfinished, advance, start)
    return z + tf.where(raised != PAD, closeness, 0.0)
