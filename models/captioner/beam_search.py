"""Beam search for the most probable caption of each grid in a batch.

Graves, "Sequence Transduction with Recurrent Neural Networks" (2012). Finished captions are ranked
by log-probability divided by a power of the length, as in Wu et al., "Google's Neural Machine
Translation System" (2016). Written in `keras.ops`, so that the whole search is one graph.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from keras import KerasTensor, ops
from numpy.typing import NDArray

from models.captioner.decoder import Decoder, State
from models.language import END, PAD, START, UNKNOWN

_FORBIDDEN_TOKENS = (PAD, START, UNKNOWN)

_IMPOSSIBLE = -1e9
"""A log-probability that stands for zero probability."""

_LEAST_SCORE = _IMPOSSIBLE / 1e3
"""Captions with a score below it have zero probability."""


@dataclass(frozen=True, slots=True)
class BeamConfig:
    """Parameters of a beam search."""

    width: int = 3
    """Captions kept at each step."""
    max_length: int = 20
    """Maximum number of words in a caption, the end token included."""
    length_power: float = 0.7
    """0 ranks by probability alone (and prefers short captions), 1 by probability per word."""
    blocked_ngram: int = 2
    """No caption contains the same n-gram of this length twice (Paulus et al., 2018); 0 allows
    repetition."""
    blocked_window: int = 3
    """No word of `Decoder.distinct_words` occurs twice in so many words in a row, as in "a white
    and white dog"; 0 or 1 allows it."""
    alternatives: int = 4
    """How many of the most probable words to return for each step; 0 for none."""
    temperature: float = 1.0
    """Divides the logits before word probabilities are returned (Guo et al., "On Calibration of
    Modern Neural Networks", ICML 2017). The search itself always uses 1."""

    def __post_init__(self) -> None:
        counts = self.blocked_ngram, self.blocked_window, self.alternatives
        if min(self.width, self.max_length) < 1 or min(counts) < 0:
            raise ValueError(
                "beam search: width and max_length must be 1 or more, blocked_ngram, "
                "blocked_window and alternatives 0 or more, but they are "
                f"{', '.join(map(str, (self.width, self.max_length, *counts)))}"
            )
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"beam search: temperature must be above 0 but is {self.temperature}")


class BeamCaption(NamedTuple):
    """A caption of each grid: B grids, T steps, A alternatives; K captions in a beam.

    In all captions of a beam together, best first, every field but the last three has another axis
    after B, [B, K, ...].
    """

    tokens: KerasTensor
    """int32 [B, T]: the words, the end token, then padding."""
    log_probs: KerasTensor
    """float32 [B, T]: log p(word | previous words) at the temperature, 0 in the padding."""
    alternative_tokens: KerasTensor
    """int32 [B, T, A]: the most probable words at each step, most probable first; undefined in the
    padding."""
    alternative_log_probs: KerasTensor
    """float32 [B, T, A], at the temperature."""
    search_log_probs: KerasTensor
    """float32 [B, T]: as `log_probs`, at temperature 1, which the search uses."""
    hidden: KerasTensor
    """float32 [B, T, W]: the decoder's hidden state after the words before each word; undefined in
    the padding."""
    beam: KerasTensor
    """int32 [B, K, T]: the tokens of the beam's captions, as the search ranks them, best first. One
    of them is this caption."""
    scores: KerasTensor
    """float32 [B, K]: their scores in the search."""
    agreement: KerasTensor
    """float32 [B, K]: what is added to each score for agreement with the captions of similar
    images, see `models.consensus`; 0 without it. The caption has the highest sum."""

    def pick(self, take: Callable[[Any], Any]) -> "BeamCaption":
        """Return one caption of each beam: `take` takes it from an array [B, K, ...]."""
        fields = len(self) - 3
        return BeamCaption(*map(take, self[:fields]), *self[fields:])

    def ranking(self) -> list[int]:
        """Rank the captions of one image's beam: indices into `beam`, best first.

        Places of the beam that the search could not fill are left out.
        """
        scores, sums = np.asarray(self.scores), np.asarray(self.scores + self.agreement)
        order = np.argsort(-sums, kind="stable")
        return [int(index) for index in order if scores[index] > _LEAST_SCORE] or [0]


def beam_search(decoder: Decoder, grid: KerasTensor, config: BeamConfig) -> BeamCaption:
    """Caption each grid.

    Args:
        decoder: The decoder; dropout is off.
        grid: float32 [B, rows, columns, channels].
        config: The parameters of the search.

    Returns:
        The caption of each grid that ranks first. Of the special tokens only the end token occurs
        in it.
    """
    return beam_captions(decoder, grid, config).pick(lambda part: part[:, 0])


def beam_captions(decoder: Decoder, grid: KerasTensor, config: BeamConfig) -> BeamCaption:
    """Return all captions of each grid's beam, best first; see `beam_search`."""
    width, length, alternatives = config.width, config.max_length, config.alternatives
    memory = decoder.build_memory(grid)
    batch = ops.shape(grid)[0]
    bias = forbidden_token_bias(decoder.config.vocabulary_size)
    distinct = decoder.distinct_words
    # All captions start alike: only the first may be extended, or all would be the same.
    first_only = ops.where(ops.arange(width) == 0, 0.0, _IMPOSSIBLE)[None]
    beam = _Beam(
        tokens=ops.full((batch, width), START, "int32"),
        scores=ops.tile(first_only, (batch, 1)),
        state=decoder.initial_state(memory, width),
        words=ops.full((batch, width, length, 2 + alternatives), PAD, "int32"),
        log_probs=ops.zeros((batch, width, length, 2 + alternatives), "float32"),
        hidden=ops.zeros((batch, width, length, decoder.config.width), "float32"),
    )

    def unfinished(position: Any, beam: _Beam) -> Any:
        return ops.logical_and(position < length, ops.logical_not(ops.all(_ended(beam.tokens))))

    def extend(position: Any, beam: _Beam) -> tuple[Any, _Beam]:
        step = decoder.step(beam.tokens, beam.state, memory)
        candidates, candidate_log_probs = _most_probable(step.logits + bias, config)
        count = candidates.shape[-1]
        # A finished caption is extended with padding alone, at no cost.
        ended = _ended(beam.tokens)[..., None]
        previous = beam.words[..., 0]
        repeated = ops.logical_or(
            _repeats(previous, candidates, position, config.blocked_ngram),
            _recurs(previous, candidates, position, config.blocked_window, distinct),
        )
        blocked = ops.where(ended, ops.arange(count) > 0, repeated)
        tokens = ops.where(ended, PAD, candidates)
        log_probs = ops.where(ended[..., None], 0.0, candidate_log_probs)
        scores = beam.scores[..., None] + log_probs[..., 1] + ops.where(blocked, _IMPOSSIBLE, 0.0)
        scores, chosen = ops.top_k(_flatten_beam(scores), width)
        parent = chosen // count
        tokens = _pick(_flatten_beam(tokens), chosen)
        new_words = (
            tokens[..., None],
            _pick(candidates[..., :alternatives], parent),
            parent[..., None],
        )
        new_log_probs = (
            _pick(_flatten_beam(log_probs), chosen),
            _pick(candidate_log_probs[..., :alternatives, 0], parent),
        )
        return position + 1, _Beam(
            tokens=tokens,
            scores=scores,
            state=State(*(_pick(part, parent) for part in step.state)),
            words=_write(_pick(beam.words, parent), position, new_words),
            log_probs=_write(_pick(beam.log_probs, parent), position, new_log_probs),
            hidden=_write(beam.hidden, position, (step.state.hidden,)),
        )

    _, beam = ops.while_loop(unfinished, extend, (ops.convert_to_tensor(0), beam))
    lengths = ops.sum(ops.cast(beam.words[..., 0] != PAD, "float32"), axis=-1)
    scores, order = ops.top_k(beam.scores / lengths**config.length_power, width)
    words, log_probs = (_pick(part, order) for part in (beam.words, beam.log_probs))
    return BeamCaption(
        tokens=words[..., 0],
        log_probs=log_probs[..., 0],
        alternative_tokens=words[..., 1:-1],
        alternative_log_probs=log_probs[..., 2:],
        search_log_probs=log_probs[..., 1],
        hidden=_select_rows(beam.hidden, words[..., -1]),
        beam=words[..., 0],
        scores=scores,
        agreement=ops.zeros_like(scores),
    )


def forbidden_token_bias(vocabulary: int) -> NDArray[np.float32]:
    """Return a bias [V] that, added to logits, excludes padding, start and unknown tokens."""
    bias = np.zeros(vocabulary, np.float32)
    bias[list(_FORBIDDEN_TOKENS)] = _IMPOSSIBLE
    return bias


class _Beam(NamedTuple):
    """The captions so far: B grids, K captions of each, T steps, A alternatives."""

    tokens: Any
    """int32 [B, K]: the last words."""
    scores: Any
    """float32 [B, K]: log p(caption)."""
    state: State
    words: Any
    """int32 [B, K, T, 2 + A]: each step's word, its alternatives, and the row of `hidden` that it
    was predicted from."""
    log_probs: Any
    """float32 [B, K, T, 2 + A]: each step's word at the temperature and at 1, then its
    alternatives at the temperature."""
    hidden: Any
    """float32 [B, K, T, W]: each step's hidden states. They are not moved when captions change
    rows, because that would cost more than all of the above."""


def _ended(tokens: Any) -> Any:
    return ops.logical_or(tokens == END, tokens == PAD)


def _most_probable(logits: Any, config: BeamConfig) -> tuple[Any, Any]:
    """Return the C most probable words, C being as many as the search can need.

    Given logits [B, K, V]; returns the words int32 [B, K, C], most probable first, and their
    log-probabilities float32 [B, K, C, 2], at the temperature and at 1.
    """
    # At most this many words are blocked for repetition; `width` of the rest can win.
    blocked = max(config.max_length - config.blocked_ngram, 0) if config.blocked_ngram else 0
    blocked += max(config.blocked_window - 1, 0)
    count = min(max(config.width + blocked, config.alternatives), logits.shape[-1])
    values, tokens = ops.top_k(logits, count)
    search_log_probs = values - _log_sum_exp(logits, values[..., :1])
    log_probs = search_log_probs
    if config.temperature != 1:
        logits, values = logits / config.temperature, values / config.temperature
        log_probs = values - _log_sum_exp(logits, values[..., :1])
    return ops.cast(tokens, "int32"), ops.stack([log_probs, search_log_probs], axis=-1)


def _log_sum_exp(logits: Any, largest: Any) -> Any:
    return largest + ops.log(ops.sum(ops.exp(logits - largest), axis=-1, keepdims=True))


def _repeats(previous: Any, tokens: Any, position: Any, ngram: int) -> Any:
    """Mark the next words that would complete an n-gram that occurred before: bool [B, K, C].

    `previous` [B, K, T] holds the words before `position`, and padding from there on.
    """
    length = previous.shape[-1]
    if not 0 < ngram < length:
        return ops.zeros_like(tokens, "bool")
    starts = length - ngram + 1
    same = ops.ones_like(previous[..., :starts], "bool")
    for offset in range(ngram - 1):
        at = ops.arange(length) == position - (ngram - 1) + offset
        last = ops.sum(ops.where(at, previous, 0), axis=-1, keepdims=True)
        same = ops.logical_and(same, previous[..., offset : offset + starts] == last)
    follows = ops.where(same, previous[..., ngram - 1 :], PAD)
    return ops.any(tokens[..., None] == follows[..., None, :], axis=-1)


def _recurs(
    previous: Any, tokens: Any, position: Any, window: int, distinct: NDArray[np.bool_]
) -> Any:
    """Mark the next words that are distinct words and among the last `window` - 1: bool [B, K, C].

    `previous` is as in `_repeats`; `distinct` [V] marks the distinct words.
    """
    if window < 2 or not distinct.any():
        return ops.zeros_like(tokens, "bool")
    places = ops.arange(previous.shape[-1])
    near = ops.logical_and(places < position, places > position - window)
    near = ops.logical_and(near, ops.take(ops.convert_to_tensor(distinct), previous))
    return ops.any(tokens[..., None] == ops.where(near, previous, PAD)[..., None, :], axis=-1)


def _pick(x: Any, index: Any) -> Any:
    """Take rows by index within each grid: x [B, N, ...], index int [B, M], to [B, M, ...]."""
    batch, rows = ops.shape(x)[0], x.shape[1]
    flat = ops.reshape(x, (-1, *x.shape[2:]))
    return ops.take(flat, index + ops.arange(batch)[:, None] * rows, axis=0)


def _flatten_beam(x: Any) -> Any:
    """Join the candidates of a grid's captions: [B, K, C, ...] to [B, K * C, ...]."""
    return ops.reshape(x, (-1, x.shape[1] * x.shape[2], *x.shape[3:]))


def _select_rows(histories: Any, rows: Any) -> Any:
    """Select a row for each step: histories [B, N, T, F], rows int [B, K, T], to [B, K, T, F]."""
    # Summed row by row, without the product of all rows.
    selected = ops.zeros_like(histories)
    for row in range(histories.shape[1]):
        selected += ops.where((rows == row)[..., None], histories[:, row, None], 0.0)
    return selected


def _write(history: Any, position: Any, parts: tuple[Any, ...]) -> Any:
    """Set one step of a history [B, K, T, F] to parts [B, K, ...] that are concatenated to F."""
    selected = ops.arange(history.shape[2]) == position
    return ops.where(selected[:, None], ops.concatenate(parts, axis=-1)[:, :, None], history)
