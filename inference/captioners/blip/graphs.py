"""BLIP's search, logits and gradients at the encoding, as compiled graphs.

Each graph is compiled once per captioner, on first use. An encoding holds the image's tokens: the
class token, then the patches, [1 + N, C].
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from inference.captioners.blip.int8_decoder import Int8Decoder
from inference.captioners.blip.token_maps import (
    attention_weights,
    term_logits,
    token_maps,
)
from inference.captioning.model import CaptionModel
from inference.captioning.objective import AttackObjective, LogitTerms, TokenScores
from models.blip import (
    Decoder,
    KeysValues,
    Memory,
    SearchConfig,
    beam_search,
    teacher_forced_captions,
)
from models.captioner import BeamCaption
from models.graph import graph
from models.language import PAD

Array = NDArray[np.float32]
Tokens = NDArray[np.int32]

_NEVER = -1e9
"""A log-probability below all others."""


def caption_logits(
    decoder: Decoder, encodings: tf.Tensor, tokens: tf.Tensor, plus: tf.Tensor, minus: tf.Tensor
) -> tf.Tensor:
    """Sum the logits of a caption's tokens, differentiably in the encodings.

    Args:
        decoder: The decoder.
        encodings: float32 [B, 1 + N, C].
        tokens: int32 [T]: the caption, up to the last token with a term.
        plus: int32 [T]: tokens whose logits are added, see `LogitTerms`.
        minus: int32 [T]: tokens whose logits are subtracted.

    Returns:
        float32 [B]: z of each encoding.
    """
    batch = tf.shape(encodings)[0]
    tokens, plus, minus = (tf.tile(each[None], (batch, 1)) for each in (tokens, plus, minus))
    hidden = decoder.teacher_force(tokens, decoder.build_memory(encodings)).hidden
    return tf.reduce_sum(term_logits(decoder, hidden, plus, minus), axis=-1)


def token_scores(
    decoder: Decoder,
    memory: Memory,
    tokens: tf.Tensor,
    candidates: tf.Tensor,
    config: SearchConfig,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Score a caption's tokens given images; see `CaptionModel.token_scores`.

    Args:
        decoder: The decoder.
        memory: Of the images; see `Decoder.build_memory`.
        tokens: int32 [T].
        candidates: int32 [T, K].
        config: The parameters of the search.

    Returns:
        The log-probabilities, [B, T], and the candidates' logits, [B, T, K].
    """
    batch = tf.shape(memory[0].keys)[0]
    rows, others = tf.tile(tokens[None], (batch, 1)), tf.tile(candidates[None], (batch, 1, 1))
    hidden = decoder.teacher_force(rows, memory, prompt=config.prompt).hidden
    logits = decoder.logits(hidden)
    log_probs = tf.nn.log_softmax(logits / config.temperature)
    return (
        tf.gather(log_probs, rows, batch_dims=2),
        tf.gather(logits, others, batch_dims=2),
    )


def objective(
    decoder: Decoder,
    encoding: tf.Tensor,
    tokens: tf.Tensor,
    lowered: tf.Tensor,
    raised: tf.Tensor,
    first: tf.Tensor,
) -> tf.Tensor:
    """Compute the objective of an attack, float32 []; see `AttackObjective`.

    Args:
        decoder: The decoder.
        encoding: float32 [1, 1 + N, C].
        tokens: int32 [T].
        lowered: int32 [T].
        raised: int32 [].
        first: int32 [].
    """
    memory = decoder.build_memory(encoding)
    log_probs = tf.nn.log_softmax(
        decoder.logits(decoder.teacher_force(tokens[None], memory).hidden)
    )
    log_probs = log_probs[0]  # [T, V]
    chosen = tf.gather(log_probs, lowered, batch_dims=1)
    z = -tf.reduce_sum(tf.where(lowered != PAD, chosen, 0.0))
    is_raised = tf.range(tf.shape(log_probs)[1]) == raised
    others = tf.reduce_max(tf.where(is_raised, _NEVER, log_probs), axis=-1)
    closeness = tf.gather(log_probs, raised, axis=1) - others
    return z + tf.where(raised != PAD, tf.reduce_max(closeness[first:]), 0.0)


def gradient(function: Callable[..., tf.Tensor], x: tf.Tensor, *rest: tf.Tensor) -> tf.Tensor:
    """Differentiate a function's sum with respect to its first argument."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        z = function(x, *rest)
    return tape.gradient(z, x)


class Graphs:
    """The graphs of one captioner, called with arrays and returning arrays."""

    def __init__(
        self,
        decoder: Decoder,
        shape: tuple[int, int],
        layer: int,
        search: SearchConfig,
        int8: Int8Decoder | None = None,
    ) -> None:
        """Build the graphs without compiling them.

        Args:
            decoder: The decoder.
            shape: Of an encoding: 1 + N tokens of C channels.
            layer: Index of the layer whose cross-attention is explained.
            search: The parameters of the search.
            int8: What projects and searches instead of the decoder.
        """
        config, (count, _) = decoder.config, shape
        heads, depth = config.num_attention_heads, config.hidden_size // config.num_attention_heads
        encodings, one = (tf.TensorSpec((size, *shape), tf.float32) for size in (None, 1))
        tokens, rows = (tf.TensorSpec((None,) * rank, tf.int32) for rank in (1, 2))
        number = tf.TensorSpec((), tf.int32)
        memory = (
            KeysValues(
                tf.TensorSpec((None, heads, depth, count), tf.float32),
                tf.TensorSpec((None, heads, count, depth), tf.float32),
            ),
        ) * config.num_hidden_layers

        def search_with(width: int) -> Callable[[Memory], BeamCaption]:
            config = replace(search, width=width)
            if int8:
                return int8.searcher(config)
            run: Callable[[Memory], BeamCaption] = graph(
                lambda memory: beam_search(decoder, memory, config), input_signature=[memory]
            )
            return run

        self._memory = (
            int8.project if int8 else graph(decoder.build_memory, input_signature=[encodings])
        )
        self._search = {width: search_with(width) for width in CaptionModel.beam_widths}
        self._rescore = graph(
            lambda memory, tokens: teacher_forced_captions(decoder, memory, tokens, search),
            input_signature=[memory, rows],
        )
        maps = [memory, encodings, rows, rows, rows]
        # Alone, it needs the gradients at the layers above its own only: the rest is pruned.
        self._crossattention = graph(
            lambda *inputs: token_maps(decoder, layer, *inputs).crossattention, input_signature=maps
        )
        self._maps = graph(
            lambda *inputs: token_maps(decoder, layer, *inputs), input_signature=maps
        )
        self._attention = graph(
            lambda *inputs: attention_weights(decoder, layer, *inputs),
            input_signature=[memory, rows],
        )
        self._token_scores = graph(
            lambda memory, tokens, candidates: token_scores(
                decoder, memory, tokens, candidates, search
            ),
            input_signature=[memory, tokens, rows],
        )
        self._gradient = graph(
            lambda *inputs: gradient(lambda *x: caption_logits(decoder, *x), *inputs),
            input_signature=[one, tokens, tokens, tokens],
        )
        self._attack = graph(
            lambda *inputs: gradient(lambda *x: objective(decoder, *x), *inputs),
            input_signature=[one, tokens, tokens, number, number],
        )

        self._shape, self._end = shape, config.sep_token_id

    def warm_up(self) -> None:
        """Compile the gradients at the encoding ahead of their first use, which takes seconds."""
        encoding = np.zeros(self._shape, np.float32)
        tokens = np.array([self._end], np.int32)
        self.caption_gradient(encoding, tokens, LogitTerms(tokens, tokens))
        self.attack_gradient(encoding, AttackObjective(tokens, tokens))

    def memory(self, encodings: Array) -> Memory:
        """Project encodings [B, ...]; see `Decoder.build_memory`."""
        found: Memory = self._memory(encodings)
        return found

    def search(self, memory: Memory, width: int) -> BeamCaption:
        """Find the best caption of each image; see `beam_search`."""
        return _arrays(self._search[width](memory))

    def rescore(self, memory: Memory, tokens: Tokens) -> BeamCaption:
        """Score captions, [B, T]; see `teacher_forced_captions`."""
        return _arrays(self._rescore(memory, tokens))

    def token_maps(
        self, name: str, memory: Memory, encodings: Array, tokens: Tokens, terms: LogitTerms
    ) -> Array:
        """Compute one field of `token_maps`: tokens and terms [B, T] each; [B, T, N]."""
        inputs = memory, encodings, tokens, *terms
        if name == "crossattention":
            return np.asarray(self._crossattention(*inputs))
        return np.asarray(getattr(self._maps(*inputs), name))

    def attention_weights(self, memory: Memory, tokens: Tokens) -> Array:
        """See `attention_weights`: tokens [B, T]; [B, T, N]."""
        return np.asarray(self._attention(memory, tokens))

    def token_scores(self, memory: Memory, tokens: Tokens, candidates: Tokens) -> TokenScores:
        """See `token_scores`: tokens [T], candidates [T, K]."""
        found = self._token_scores(memory, tokens, candidates)
        return TokenScores(*(np.asarray(part) for part in found))

    def caption_gradient(self, encoding: Array, tokens: Tokens, terms: LogitTerms) -> Array:
        """Differentiate `caption_logits` at a single encoding [1 + N, C]."""
        return np.asarray(self._gradient(encoding[None], tokens, *terms)[0])

    def attack_gradient(self, encoding: Array, objective: AttackObjective) -> Array:
        """Differentiate `objective` at a single encoding [1 + N, C]."""
        tokens, lowered, raised, first = objective
        numbers = np.int32(raised), np.int32(first)
        return np.asarray(self._attack(encoding[None], tokens, lowered, *numbers)[0])


def _arrays(found: BeamCaption) -> BeamCaption:
    return BeamCaption(*(np.asarray(part) for part in found))
