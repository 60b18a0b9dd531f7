"""Beam search for the likeliest caption, for a batch of grids at once.

Graves, "Sequence Transduction with Recurrent Neural Networks" (2012); finished captions are
ranked by log-probability over length to a power, as in Wu et al., "Google's Neural Machine
Translation System" (2016). Written in `keras.ops`, so that one graph holds the whole search.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from keras import KerasTensor, ops
from numpy.typing import NDArray

from models.captioner.decoder import Decoder, State
from models.language import END, PAD, START, UNKNOWN

_NEVER_SAID = (PAD, START, UNKNOWN)


_IMPOSSIBLE = -1e9


@dataclass(frozen=True, slots=True)
class BeamConfig:
    """How a search goes."""

    width: int = 3
    """Captions kept at each step."""
    max_length: int = 20
    """Words of a caption at most, its end included."""
    length_power: float = 0.7
    """0 ranks by probability alone (and prefers short captions), 1 by probability per word."""
    blocked_ngram: int = 2
    """No caption says the same so many words in a row twice (Paulus et al., 2018); 0 lets it."""
    alternatives: int = 4
    """How many of each step's likeliest words are told; 0 for none."""
    temperature: float = 1.0
    """What the logits are divided by before their probabilities are told (Guo et al., "On
    Calibration of Modern Neural Networks", ICML 2017). The search itself goes by 1."""

    def __post_init__(self) -> None:
        if min(self.width, self.max_length) < 1 or min(self.blocked_ngram, self.alternatives) < 0:
            raise ValueError(
                "a beam search needs a width and a max_length of 1 or more, a blocked_ngram and "
                f"alternatives of 0 or more, not {self.width}, {self.max_length}, "
                f"{self.blocked_ngram} and {self.alternatives}"
            )
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"a beam search needs a temperature above 0, not {self.temperature}")


class BeamCaption(NamedTuple):
    """The best caption of each grid: B grids, T steps, A alternatives."""

    tokens: KerasTensor
    """int32 [B, T]: the words, their end, then padding."""
    log_probs: KerasTensor
    """float32 [B, T]: log p(word | the words before) at the temperature, 0 in the padding."""
    alternative_tokens: KerasTensor
    """int32 [B, T, A]: the likeliest words at each step, the likeliest first; anything in the
    padding."""
    alternative_log_probs: KerasTensor
    """float32 [B, T, A], at the temperature."""
    search_log_probs: KerasTensor
    """float32 [B, T]: as `log_probs`, at the temperature 1 that the search goes by."""
    scores: KerasTensor
    """float32 [B, width]: what the captions of the beam rank by, the best first, which is this
    one's."""
    hidden: KerasTensor
    """float32 [B, T, W]: the decoder's hidden state that has read the words before each; anything
    in the padding."""


def beam_search(decoder: Decoder, grid: KerasTensor, config: BeamConfig) -> BeamCaption:
    """Caption each grid.

    Args:
        decoder: The decoder; dropout is off.
        grid: float32 [B, rows, columns, channels].
        config: How the search goes.

    Returns:
        The caption of each grid that ranks first. The special words other than the end are
        never said.
    """
    width, length, told = config.width, config.max_length, config.alternatives
    memory = decoder.remember(grid)
    batch = ops.shape(grid)[0]
    silence = silencing(decoder.config.vocabulary_size)
    # All captions start alike: only the first may go on, or each would say the same.
    alone = ops.where(ops.arange(width) == 0, 0.0, _IMPOSSIBLE)[None]
    beam = _Beam(
        tokens=ops.full((batch, width), START, "int32"),
        scores=ops.tile(alone, (batch, 1)),
        state=decoder.start(memory, width),
        words=ops.full((batch, width, length, 2 + told), PAD, "int32"),
        log_probs=ops.zeros((batch, width, length, 2 + told), "float32"),
        hidden=ops.zeros((batch, width, length, decoder.config.width), "float32"),
    )

    def unfinished(position: Any, beam: _Beam) -> Any:
        return ops.logical_and(position < length, ops.logical_not(ops.all(_ended(beam.tokens))))

    def extend(position: Any, beam: _Beam) -> tuple[Any, _Beam]:
        step = decoder.step(beam.tokens, beam.state, memory)
        likeliest, likeliest_log_probs = _likeliest(step.logits + silence, config)
        count = likeliest.shape[-1]
        # A finished caption goes on with padding alone, at no cost.
        ended = _ended(beam.tokens)[..., None]
        said = beam.words[..., 0]
        barred = ops.where(
            ended, ops.arange(count) > 0, _repeats(said, likeliest, position, config.blocked_ngram)
        )
        tokens = ops.where(ended, PAD, likeliest)
        log_probs = ops.where(ended[..., None], 0.0, likeliest_log_probs)
        scores = beam.scores[..., None] + log_probs[..., 1] + ops.where(barred, _IMPOSSIBLE, 0.0)
        scores, chosen = ops.top_k(_merged(scores), width)
        parent = chosen // count
        tokens = _pick(_merged(tokens), chosen)
        word_now = (tokens[..., None], _pick(likeliest[..., :told], parent), parent[..., None])
        log_probs_now = (
            _pick(_merged(log_probs), chosen),
            _pick(likeliest_log_probs[..., :told, 0], parent),
        )
        return position + 1, _Beam(
            tokens=tokens,
            scores=scores,
            state=State(*(_pick(part, parent) for part in step.state)),
            words=_write(_pick(beam.words, parent), position, word_now),
            log_probs=_write(_pick(beam.log_probs, parent), position, log_probs_now),
            hidden=_write(beam.hidden, position, (step.state.hidden,)),
        )

    _, beam = ops.while_loop(unfinished, extend, (ops.convert_to_tensor(0), beam))
    lengths = ops.sum(ops.cast(beam.words[..., 0] != PAD, "float32"), axis=-1)
    scores, order = ops.top_k(beam.scores / lengths**config.length_power, width)
    words, log_probs = (_pick(part, order[:, :1])[:, 0] for part in (beam.words, beam.log_probs))
    return BeamCaption(
        tokens=words[..., 0],
        log_probs=log_probs[..., 0],
        alternative_tokens=words[..., 1:-1],
        alternative_log_probs=log_probs[..., 2:],
        search_log_probs=log_probs[..., 1],
        scores=scores,
        hidden=_rows_of(beam.hidden, words[..., -1]),
    )


class _Beam(NamedTuple):
    """The captions so far: B grids, K captions of each, T steps, A alternatives."""

    tokens: Any
    """int32 [B, K]: the last words."""
    scores: Any
    """float32 [B, K]: log p(caption)."""
    state: State
    words: Any
    """int32 [B, K, T, 2 + A]: each step's word, its alternatives, and the row of `hidden` that it
    was told from."""
    log_probs: Any
    """float32 [B, K, T, 2 + A]: each step's word's, as told and as searched by, then its
    alternatives' as told."""
    hidden: Any
    """float32 [B, K, T, W]: each step's hidden states. They stay where they are when captions
    change rows, as moving them would cost more than all of the above."""


def _ended(tokens: Any) -> Any:
    return ops.logical_or(tokens == END, tokens == PAD)


def _likeliest(logits: Any, config: BeamConfig) -> tuple[Any, Any]:
    """As many of the likeliest words as the search may need, C, the likeliest first.

    Given logits [B, K, V]; returns the words int32 [B, K, C] and their log-probabilities
    float32 [B, K, C, 2], as told and as searched by.
    """
    # So many words at most are barred for what they repeat; `width` of the rest can win.
    barred = max(config.max_length - config.blocked_ngram, 0) if config.blocked_ngram else 0
    count = min(max(config.width + barred, config.alternatives), logits.shape[-1])
    values, tokens = ops.top_k(logits, count)
    searched = values - _log_sum_exp(logits, values[..., :1])
    told = searched
    if config.temperature != 1:
        logits, values = logits / config.temperature, values / config.temperature
        told = values - _log_sum_exp(logits, values[..., :1])
    return ops.cast(tokens, "int32"), ops.stack([told, searched], axis=-1)


def _log_sum_exp(logits: Any, largest: Any) -> Any:
    return largest + ops.log(ops.sum(ops.exp(logits - largest), axis=-1, keepdims=True))


def silencing(vocabulary: int) -> NDArray[np.float32]:
    """What keeps the words that are never said from being so: [V], to be added to logits."""
    silence = np.zeros(vocabulary, np.float32)
    silence[list(_NEVER_SAID)] = _IMPOSSIBLE
    return silence


def _repeats(said: Any, tokens: Any, position: Any, ngram: int) -> Any:
    """Which of the next words would complete an n-gram that was said before: bool [B, K, C].

    `said` [B, K, T] holds the words before `position`, and padding from there on.
    """
    length = said.shape[-1]
    if not 0 < ngram < length:
        return ops.zeros_like(tokens, "bool")
    starts = length - ngram + 1
    same = ops.ones_like(said[..., :starts], "bool")
    for offset in range(ngram - 1):
        at = ops.arange(length) == position - (ngram - 1) + offset
        last = ops.sum(ops.where(at, said, 0), axis=-1, keepdims=True)
        same = ops.logical_and(same, said[..., offset : offset + starts] == last)
    follows = ops.where(same, said[..., ngram - 1 :], PAD)
    return ops.any(tokens[..., None] == follows[..., None, :], axis=-1)


def _pick(x: Any, index: Any) -> Any:
    """Pick rows of each grid's own: x [B, N, ...], index int [B, M], to [B, M, ...]."""
    batch, rows = ops.shape(x)[0], x.shape[1]
    flat = ops.reshape(x, (-1, *x.shape[2:]))
    return ops.take(flat, index + ops.arange(batch)[:, None] * rows, axis=0)


def _merged(x: Any) -> Any:
    """The next words of all a grid's captions in one row: [B, K, C, ...] to [B, K * C, ...]."""
    return ops.reshape(x, (-1, x.shape[1] * x.shape[2], *x.shape[3:]))


def _rows_of(histories: Any, rows: Any) -> Any:
    """Read a row for each step: histories [B, K, T, F], rows int [B, T], to [B, T, F]."""
    chosen = rows[:, None] == ops.arange(histories.shape[1])[:, None]
    return ops.sum(ops.where(chosen[..., None], histories, 0.0), axis=1)


def _write(history: Any, position: Any, parts: tuple[Any, ...]) -> Any:
    """Set one step of a history [B, K, T, F] to parts [B, K, ...] that make F together."""
    here = ops.arange(history.shape[2]) == position
    return ops.where(here[:, None], ops.concatenate(parts, axis=-1)[:, :, None], history)
