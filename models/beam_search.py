"""Beam search for the likeliest caption, for a batch of grids at once.

Graves, "Sequence Transduction with Recurrent Neural Networks" (2012); finished captions are
ranked by log-probability over length to a power, as in Wu et al., "Google's Neural Machine
Translation System" (2016). Written in `keras.ops`, so that one graph holds the whole search.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from keras import KerasTensor, ops

from models.decoder import Decoder, State
from models.vocabulary import END, PAD, START, UNKNOWN

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

    def __post_init__(self) -> None:
        if min(self.width, self.max_length) < 1 or min(self.blocked_ngram, self.alternatives) < 0:
            raise ValueError(
                "a beam search needs a width and a max_length of 1 or more, a blocked_ngram and "
                f"alternatives of 0 or more, not {self.width}, {self.max_length}, "
                f"{self.blocked_ngram} and {self.alternatives}"
            )


class BeamCaption(NamedTuple):
    """The best caption of each grid: B grids, T steps, A alternatives."""

    tokens: KerasTensor
    """int32 [B, T]: the words, their end, then padding."""
    log_probs: KerasTensor
    """float32 [B, T]: log p(word | the words before), 0 in the padding."""
    alternative_tokens: KerasTensor
    """int32 [B, T, A]: the likeliest words at each step, the likeliest first; anything in the
    padding."""
    alternative_log_probs: KerasTensor
    """float32 [B, T, A]"""


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
    state = decoder.start(memory, width)
    batch = ops.shape(grid)[0]
    vocabulary = decoder.config.vocabulary_size
    tokens = ops.full((batch, width), START, "int32")
    done = ops.zeros((batch, width), "bool")
    # All beams start alike: only the first may be extended, or each would say the same.
    scores = ops.tile(ops.where(ops.arange(width) == 0, 0.0, _IMPOSSIBLE)[None], (batch, 1))
    history = _History(
        tokens=ops.full((batch, width, length), PAD, "int32"),
        log_probs=ops.zeros((batch, width, length), "float32"),
        alternative_tokens=ops.zeros((batch, width, length, told), "int32"),
        alternative_log_probs=ops.zeros((batch, width, length, told), "float32"),
    )

    def blocked(said: Any, position: Any) -> Any:
        if not 0 < config.blocked_ngram < length:
            return 0.0
        return _repeats(said, position, config.blocked_ngram, vocabulary) * _IMPOSSIBLE

    def unfinished(position: Any, tokens: Any, done: Any, *_: Any) -> Any:
        return ops.logical_not(ops.all(done))

    def extend(
        position: Any, tokens: Any, done: Any, scores: Any, state: Any, history: Any
    ) -> tuple[Any, ...]:
        step = decoder.step(tokens, state, memory)
        log_probs = ops.log_softmax(_allowed(step.logits))
        words = log_probs.shape[-1]
        # A finished caption goes on with padding alone, at no cost.
        padding = ops.where(ops.arange(words) == PAD, 0.0, _IMPOSSIBLE)
        extended = scores[..., None] + ops.where(
            done[..., None], padding, log_probs + blocked(history.tokens, position)
        )
        scores, flat = ops.top_k(ops.reshape(extended, (-1, width * words)), width)
        parent, tokens = flat // words, flat % words
        tokens = ops.cast(tokens, "int32")
        done_before = _follow(done, parent)
        said = ops.take_along_axis(_follow(log_probs, parent), tokens[..., None], axis=-1)[..., 0]
        told_log_probs, told_tokens = ops.top_k(_follow(log_probs, parent), max(told, 1))
        here = ops.arange(length) == position
        history = _History(
            tokens=ops.where(here, tokens[..., None], _follow(history.tokens, parent)),
            log_probs=ops.where(
                here,
                ops.where(done_before, 0.0, said)[..., None],
                _follow(history.log_probs, parent),
            ),
            alternative_tokens=ops.where(
                here[:, None],
                ops.cast(told_tokens, "int32")[..., None, :told],
                _follow(history.alternative_tokens, parent),
            ),
            alternative_log_probs=ops.where(
                here[:, None],
                told_log_probs[..., None, :told],
                _follow(history.alternative_log_probs, parent),
            ),
        )
        state = State(*(_follow(part, parent) for part in step.state))
        done = ops.logical_or(done_before, tokens == END)
        return position + 1, tokens, done, scores, state, history

    *_, scores, _, history = ops.while_loop(
        unfinished,
        extend,
        (ops.convert_to_tensor(0), tokens, done, scores, state, history),
        maximum_iterations=length,
    )
    lengths = ops.sum(ops.cast(history.tokens != PAD, "float32"), axis=-1)
    best = ops.argmax(scores / lengths**config.length_power, axis=-1)[:, None]
    return BeamCaption(*(_follow(part, best)[:, 0] for part in history))


class _History(NamedTuple):
    """As `BeamCaption`, for each beam: [B, width, T, ...]."""

    tokens: Any
    log_probs: Any
    alternative_tokens: Any
    alternative_log_probs: Any


def _allowed(logits: Any) -> Any:
    silent = sum(ops.one_hot(token, logits.shape[-1]) for token in (PAD, START, UNKNOWN))
    return logits + silent * _IMPOSSIBLE


def _repeats(said: Any, position: Any, ngram: int, vocabulary: int) -> Any:
    """Which words would complete an n-gram that was said before, 1 for each: [B, width, V].

    `said` [B, width, T] holds the words before `position`, and padding from there on.
    """
    length = said.shape[-1]
    starts = length - ngram + 1
    same = ops.ones_like(said[..., :starts], "bool")
    for offset in range(ngram - 1):
        at = ops.arange(length) == position - (ngram - 1) + offset
        last = ops.sum(ops.where(at, said, 0), axis=-1, keepdims=True)
        same = ops.logical_and(same, said[..., offset : offset + starts] == last)
    follows = ops.one_hot(said[..., ngram - 1 :], vocabulary)
    counts = ops.matmul(ops.cast(same, follows.dtype)[..., None, :], follows)[..., 0, :]
    return ops.minimum(counts, 1.0)


def _follow(x: Any, parent: Any) -> Any:
    """Pick for each beam its parent's row: x [B, width, ...], parent int [B, kept]."""
    index = ops.expand_dims(parent, tuple(range(2, len(x.shape))))
    return ops.take_along_axis(x, index, axis=1)
