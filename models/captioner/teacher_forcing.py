"""Log-probabilities of given captions, by teacher forcing."""

from typing import Any

from keras import KerasTensor, ops

from models.captioner.beam_search import BeamCaption, BeamConfig, forbidden_token_bias
from models.captioner.decoder import Decoder, State
from models.language import PAD, START


def teacher_forced_captions(
    decoder: Decoder, grid: KerasTensor, tokens: KerasTensor, config: BeamConfig
) -> BeamCaption:
    """Score one given caption of each grid as if the beam search had found it.

    Args:
        decoder: The decoder; dropout is off.
        grid: float32 [B, rows, columns, channels].
        tokens: int32 [B, T]: the words of each caption, the end token, then padding.
        config: The parameters of the search.

    Returns:
        The captions in the form that `beam_search` returns. Repetitions are not blocked.
    """
    readouts = _readouts(decoder, grid, tokens)
    logits = decoder.logits(readouts) + forbidden_token_bias(decoder.config.vocabulary_size)
    search_vocabulary_log_probs = ops.log_softmax(logits)
    vocabulary_log_probs = ops.log_softmax(logits / config.temperature)
    is_word = tokens != PAD
    search_log_probs = _select_tokens(search_vocabulary_log_probs, tokens, is_word)
    lengths = ops.sum(ops.cast(is_word, "float32"), axis=-1)
    scores = (ops.sum(search_log_probs, axis=-1) / lengths**config.length_power)[:, None]
    alternative_log_probs, alternatives = ops.top_k(vocabulary_log_probs, config.alternatives)
    return BeamCaption(
        tokens=tokens,
        log_probs=_select_tokens(vocabulary_log_probs, tokens, is_word),
        alternative_tokens=ops.cast(alternatives, "int32"),
        alternative_log_probs=alternative_log_probs,
        search_log_probs=search_log_probs,
        hidden=readouts[..., : decoder.config.width],
        beam=tokens[:, None],
        scores=scores,
        agreement=ops.zeros_like(scores),
    )


def teacher_forced_scores(
    decoder: Decoder,
    grid: KerasTensor,
    tokens: KerasTensor,
    candidates: KerasTensor,
    config: BeamConfig,
) -> tuple[KerasTensor, KerasTensor]:
    """Score one caption's words, and candidates in their places, given each grid.

    Args:
        decoder: The decoder; dropout is off.
        grid: float32 [B, rows, columns, channels].
        tokens: int32 [T]: the caption's words, without padding.
        candidates: int32 [T, K].
        config: The parameters of the search.

    Returns:
        log p(word | previous words) at the temperature, as `BeamCaption.log_probs`, [B, T]; and the
        candidates' logits, [B, T, K].
    """
    batch = ops.shape(grid)[0]
    rows = ops.tile(tokens[None], (batch, 1))
    logits = decoder.logits(_readouts(decoder, grid, rows))
    chosen = ops.take_along_axis(logits, ops.tile(candidates[None], (batch, 1, 1)), axis=-1)
    allowed = logits + forbidden_token_bias(decoder.config.vocabulary_size)
    log_probs = ops.log_softmax(allowed / config.temperature)
    return _select_tokens(log_probs, rows, rows != PAD), chosen


def _readouts(decoder: Decoder, grid: KerasTensor, tokens: KerasTensor) -> KerasTensor:
    """Return the readout at each word [B, T, 2W], up to the longest caption's end; 0 after it.

    `Decoder.teacher_force` unrolls its steps. That makes gradients fast, but it takes three times
    as long to compile, and computes the padding too.
    """
    memory = decoder.build_memory(grid)
    before = ops.concatenate([ops.full_like(tokens[:, :1], START), tokens[:, :-1]], axis=-1)
    embedded = decoder.embedding(before)
    steps = ops.max(ops.sum(ops.cast(tokens != PAD, "int32"), axis=-1))
    positions = ops.arange(ops.shape(tokens)[1])[None, :, None]
    zeros = ops.zeros((*ops.shape(tokens), 2 * decoder.config.width), embedded.dtype)

    def unfinished(position: Any, state: State, readouts: Any) -> Any:
        return position < steps

    def extend(position: Any, state: State, readouts: Any) -> tuple[Any, State, Any]:
        word = ops.take(embedded, position, axis=1)[:, None]
        readout, _, state = decoder.advance(word, state, memory)
        return position + 1, state, ops.where(positions == position, readout, readouts)

    start = (ops.convert_to_tensor(0), decoder.initial_state(memory, 1), zeros)
    return ops.while_loop(unfinished, extend, start)[-1]


def _select_tokens(
    log_probs: KerasTensor, tokens: KerasTensor, is_word: KerasTensor
) -> KerasTensor:
    """Select the tokens' values from [B, T, V], giving [B, T]; 0 in the padding."""
    chosen = ops.take_along_axis(log_probs, tokens[..., None], axis=-1)[..., 0]
    return ops.where(is_word, chosen, 0.0)
