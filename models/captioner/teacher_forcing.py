"""How likely captions are that somebody else has chosen: the decoder told what to say."""

from typing import Any

from keras import KerasTensor, ops

from models.captioner.beam_search import BeamCaption, BeamConfig, silencing
from models.captioner.decoder import Decoder, State
from models.language import PAD, START


def tell(
    decoder: Decoder, grid: KerasTensor, tokens: KerasTensor, config: BeamConfig
) -> BeamCaption:
    """Read a caption of each grid as the search would have, had it found it.

    Args:
        decoder: The decoder; dropout is off.
        grid: float32 [B, rows, columns, channels].
        tokens: int32 [B, T]: the words of a caption of each, their end, then padding.
        config: The search's.

    Returns:
        The captions as `beam_search` returns them. Whether they repeat words is not asked.
    """
    read = _recite(decoder, grid, tokens)
    logits = decoder.logits(read) + silencing(decoder.config.vocabulary_size)
    searched, told = ops.log_softmax(logits), ops.log_softmax(logits / config.temperature)
    said = tokens != PAD
    search_log_probs = _of_words(searched, tokens, said)
    lengths = ops.sum(ops.cast(said, "float32"), axis=-1)
    alternative_log_probs, alternatives = ops.top_k(told, config.alternatives)
    return BeamCaption(
        tokens=tokens,
        log_probs=_of_words(told, tokens, said),
        alternative_tokens=ops.cast(alternatives, "int32"),
        alternative_log_probs=alternative_log_probs,
        search_log_probs=search_log_probs,
        scores=(ops.sum(search_log_probs, axis=-1) / lengths**config.length_power)[:, None],
        hidden=read[..., : decoder.config.width],
    )


def _recite(decoder: Decoder, grid: KerasTensor, tokens: KerasTensor) -> KerasTensor:
    """What is read before each word [B, T, 2W], up to the longest caption's end; 0 after it.

    `Decoder.recite` writes all its steps out: gradients are quick then, but it takes three times as
    long to compile, and reads the padding too.
    """
    memory = decoder.remember(grid)
    before = ops.concatenate([ops.full_like(tokens[:, :1], START), tokens[:, :-1]], axis=-1)
    embedded = decoder.embedding(before)
    steps = ops.max(ops.sum(ops.cast(tokens != PAD, "int32"), axis=-1))
    positions = ops.arange(tokens.shape[1])[None, :, None]
    nothing = ops.zeros((*ops.shape(tokens), 2 * decoder.config.width), embedded.dtype)

    def unfinished(position: Any, state: State, read: Any) -> Any:
        return position < steps

    def extend(position: Any, state: State, read: Any) -> tuple[Any, State, Any]:
        now = ops.take(embedded, position, axis=1)[:, None]
        found, _, state = decoder.advance(now, state, memory)
        return position + 1, state, ops.where(positions == position, found, read)

    begun = (ops.convert_to_tensor(0), decoder.start(memory, 1), nothing)
    return ops.while_loop(unfinished, extend, begun)[-1]


def _of_words(log_probs: KerasTensor, tokens: KerasTensor, said: KerasTensor) -> KerasTensor:
    """Of [B, T, V] those of the words, [B, T]; 0 in the padding."""
    chosen = ops.take_along_axis(log_probs, tokens[..., None], axis=-1)[..., 0]
    return ops.where(said, chosen, 0.0)
