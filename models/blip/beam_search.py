"""Beam search for the most probable caption of each image in a batch.

The rules are those of `generate` in Hugging Face's `transformers`, so that a published captioner
says the same: each step keeps twice as many candidates as the beam is wide; those that end are
moved to the finished captions, which are ranked by log-probability divided by a power of the length
(Wu et al., "Google's Neural Machine Translation System", 2016); an image is done when no unfinished
caption can outrank the worst finished one. Written in `keras.ops`, so that the whole search is one
graph. Images of a batch do not affect each other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from keras import KerasTensor, ops

from models.blip.config import TextConfig
from models.blip.decoder import Cache, Decoder, KeysValues, Memory
from models.captioner import BeamCaption
from models.language import PAD

_IMPOSSIBLE = -1e9
"""A log-probability, or a score, that stands for zero probability."""


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """Parameters of a search, as in `transformers`."""

    width: int = 3
    """Captions kept at each step; 1 is a greedy search."""
    max_length: int = 20
    """Maximum number of tokens in a caption, the end token included."""
    min_length: int = 0
    """Minimum number of tokens before the end token."""
    length_penalty: float = 1.0
    """Power of the length: 0 ranks by probability alone, 1 by probability per token."""
    early_stopping: bool | Literal["never"] = False
    """Which images are done: with True, those with `width` finished captions; with False, those
    whose unfinished captions are worse at their present length; with "never", those whose
    unfinished captions would be worse even at their most favourable length."""
    alternatives: int = 4
    """How many of the most probable tokens to return for each step; 0 for none."""
    temperature: float = 1.0
    """Divides the logits before probabilities are returned (Guo et al., "On Calibration of Modern
    Neural Networks", ICML 2017). The search itself always uses 1."""
    prompt: tuple[int, ...] = ()
    """Tokens that every caption continues. They are not part of it."""


Predict = Callable[[Any, Any, Cache], tuple[Any, Cache]]
"""See `search_with`."""


def beam_search(decoder: Decoder, memory: Memory, config: SearchConfig) -> BeamCaption:
    """Caption each image.

    Args:
        decoder: The decoder.
        memory: Of the images; see `Decoder.build_memory`.
        config: The parameters of the search.

    Returns:
        The caption of each image that ranks first. `hidden` is empty, [B, T, 0].

    Raises:
        ValueError: If the longest caption is longer than the decoder's texts can be.
    """
    cache = decoder.empty_cache(memory, config.width, len(config.prompt) + config.max_length)

    def predict(tokens: Any, position: Any, cache: Cache) -> tuple[Any, Cache]:
        hidden, cache = decoder.step(tokens, position, cache, memory)
        return decoder.logits(hidden), cache

    return search_with(predict, cache, decoder.config, config)


def search_with(
    predict: Predict, cache: Cache, text: TextConfig, config: SearchConfig
) -> BeamCaption:
    """Caption each image as `beam_search` does, by whatever predicts the next token.

    Args:
        predict: Returns the logits [B, K, V] after the token [B, K] at a position, and the cache
            with the token added.
        cache: Empty.
        text: The decoder's architecture.
        config: The parameters of the search.

    Raises:
        ValueError: As `beam_search`.
    """
    _check_length(text, config)
    width, longest = config.width, config.max_length
    batch = ops.shape(cache[0].keys)[0]
    beam = _start(predict, cache, text, config, batch)

    def unfinished(step: Any, beam: _Beam, finished: _Finished) -> Any:
        return ops.logical_and(step < longest, ops.any(finished.open))

    def extend(step: Any, beam: _Beam, finished: _Finished) -> tuple[Any, _Beam, _Finished]:
        logits, cache = predict(beam.tokens, len(config.prompt) + step, beam.cache)
        found = _candidates(logits, beam, step, text.sep_token_id, config)
        is_last = step + 1 >= longest
        ends = ops.logical_or(found.tokens == text.sep_token_id, is_last)  # [B, 2K]
        length = ops.cast(step + 1, "float32")
        finished = _finish(finished, found, ends, length, config)
        # At the end of the longest captions the beam has no meaning, and is not read.
        scores, chosen = ops.top_k(ops.where(ends, _IMPOSSIBLE, 0.0) + found.scores, width)
        parents = _pick(found.parents, chosen)
        beam = _Beam(
            tokens=_pick(found.tokens, chosen),
            scores=scores,
            cache=tuple(KeysValues(*(_pick(p, parents) for p in each)) for each in cache),
            history=_pick(found.history, chosen),
            log_probs=_pick(found.log_probs, chosen),
        )
        return step + 1, beam, _close(finished, scores[:, 0], length, config)

    nothing = _Finished(
        scores=ops.full((batch, width), _IMPOSSIBLE, "float32"),
        done=ops.zeros((batch, width), "bool"),
        open=ops.ones((batch,), "bool"),
        history=beam.history,
        log_probs=beam.log_probs,
    )
    start = (ops.convert_to_tensor(0), beam, nothing)
    _, _, finished = ops.while_loop(unfinished, extend, start)
    history, log_probs, scores = finished.history, finished.log_probs, finished.scores
    captions = BeamCaption(
        tokens=history[..., 0],
        log_probs=log_probs[..., 0],
        alternative_tokens=history[..., 1:],
        alternative_log_probs=log_probs[..., 2:],
        search_log_probs=log_probs[..., 1],
        hidden=ops.zeros((batch, width, longest, 0), "float32"),
        beam=history[..., 0],
        scores=scores,
        agreement=ops.zeros_like(scores),
    )
    return captions.pick(lambda part: part[:, 0])


def teacher_forced_captions(
    decoder: Decoder, memory: Memory, tokens: KerasTensor, config: SearchConfig
) -> BeamCaption:
    """Score one given caption of each image as if the search had found it.

    Args:
        decoder: The decoder.
        memory: Of the images; see `Decoder.build_memory`.
        tokens: int32 [B, T]: the tokens of each caption, the end token, then padding.
        config: The parameters of the search.

    Returns:
        The captions in the form that `beam_search` returns.
    """
    hidden = decoder.teacher_force(tokens, memory, prompt=config.prompt).hidden
    logits = decoder.logits(hidden)
    is_token = tokens != PAD
    search_log_probs = _select(ops.log_softmax(logits), tokens, is_token)
    log_probs = ops.log_softmax(logits / config.temperature)
    alternative_log_probs, alternatives = ops.top_k(log_probs, config.alternatives)
    lengths = ops.sum(ops.cast(is_token, "float32"), axis=-1)
    scores = (ops.sum(search_log_probs, axis=-1) / lengths**config.length_penalty)[:, None]
    return BeamCaption(
        tokens=tokens,
        log_probs=_select(log_probs, tokens, is_token),
        alternative_tokens=ops.cast(alternatives, "int32"),
        alternative_log_probs=alternative_log_probs,
        search_log_probs=search_log_probs,
        hidden=hidden[..., :0],
        beam=tokens[:, None],
        scores=scores,
        agreement=ops.zeros_like(scores),
    )


class _Beam(NamedTuple):
    """The unfinished captions: B images, K captions of each, T steps, A alternatives."""

    tokens: Any
    """int32 [B, K]: the last tokens."""
    scores: Any
    """float32 [B, K]: log p(caption), best first."""
    cache: Cache
    history: Any
    """int32 [B, K, T, 1 + A]: each step's token and its alternatives."""
    log_probs: Any
    """float32 [B, K, T, 2 + A]: each step's token at the temperature and at 1, then its
    alternatives at the temperature."""


class _Finished(NamedTuple):
    """The best finished captions of each image, best first, as in `_Beam`."""

    scores: Any
    """float32 [B, K]: the ranking scores."""
    done: Any
    """bool [B, K]: whether there is a caption."""
    open: Any
    """bool [B]: whether another caption may still be added."""
    history: Any
    log_probs: Any


class _Candidates(NamedTuple):
    """The best 2K continuations of an image's captions, best first, as in `_Beam`."""

    tokens: Any
    scores: Any
    parents: Any
    """int32 [B, 2K]: which captions they continue."""
    history: Any
    log_probs: Any


def _start(
    predict: Predict, cache: Cache, text: TextConfig, config: SearchConfig, batch: Any
) -> _Beam:
    """Return the beam before the first token: the prompt has been read but for its last token."""
    width, length, alternatives = config.width, config.max_length, config.alternatives
    first = (text.bos_token_id, *config.prompt)
    for position, token in enumerate(first[:-1]):
        tokens = ops.full((batch, width), token, "int32")
        _, cache = predict(tokens, ops.convert_to_tensor(position), cache)
    # All captions start alike: only the first may be extended, or all would be the same.
    first_only = ops.where(ops.arange(width) == 0, 0.0, _IMPOSSIBLE)[None]
    return _Beam(
        tokens=ops.full((batch, width), first[-1], "int32"),
        scores=ops.tile(first_only, (batch, 1)),
        cache=cache,
        history=ops.full((batch, width, length, 1 + alternatives), PAD, "int32"),
        log_probs=ops.zeros((batch, width, length, 2 + alternatives), "float32"),
    )


def _candidates(logits: Any, beam: _Beam, step: Any, end: int, config: SearchConfig) -> _Candidates:
    """Return the best continuations of each image's captions: logits [B, K, V]."""
    count, shown = 2 * config.width, config.alternatives
    if config.min_length:
        is_end = ops.arange(logits.shape[-1]) == end
        too_early = ops.logical_and(is_end, step < config.min_length)
    # The best of all captions are among the best of each.
    each = min(max(count, shown), logits.shape[-1])
    values, tokens = ops.top_k(
        ops.where(too_early, _IMPOSSIBLE, logits) if config.min_length else logits, each
    )
    tokens = ops.cast(tokens, "int32")
    search_log_probs = values - _log_sum_exp(logits)
    log_probs = search_log_probs
    if config.temperature != 1:
        log_probs = values / config.temperature - _log_sum_exp(logits / config.temperature)
    scores, chosen = ops.top_k(_join(search_log_probs + beam.scores[..., None]), count)
    parents = chosen // each
    last = _pick(_join(tokens), chosen)
    words = [last[..., None], _pick(tokens[..., :shown], parents)]
    numbers = [
        _pick(_join(log_probs), chosen)[..., None],
        _pick(_join(search_log_probs), chosen)[..., None],
        _pick(log_probs[..., :shown], parents),
    ]
    return _Candidates(
        tokens=last,
        scores=scores,
        parents=parents,
        history=_write(_pick(beam.history, parents), step, words),
        log_probs=_write(_pick(beam.log_probs, parents), step, numbers),
    )


def _finish(
    finished: _Finished, found: _Candidates, ends: Any, length: Any, config: SearchConfig
) -> _Finished:
    """Add the candidates that end to the finished captions, and keep the best.

    The second half of the candidates only makes up for those that end, so it is not added.
    """
    width = config.width
    added = ops.logical_and(ends, ops.arange(ends.shape[1]) < width)
    scores = found.scores / length**config.length_penalty
    scores = ops.where(ops.logical_and(added, finished.open[:, None]), scores, _IMPOSSIBLE)
    scores, chosen = ops.top_k(ops.concatenate([finished.scores, scores], axis=1), width)

    def merged(before: Any, new: Any) -> Any:
        return _pick(ops.concatenate([before, new], axis=1), chosen)

    return _Finished(
        scores=scores,
        done=merged(finished.done, added),
        open=finished.open,
        history=merged(finished.history, found.history),
        log_probs=merged(finished.log_probs, found.log_probs),
    )


def _close(finished: _Finished, best: Any, length: Any, config: SearchConfig) -> _Finished:
    """Close the images that are done: see `SearchConfig.early_stopping`.

    `best` [B] is the log-probability of the best unfinished caption, `length` its present one.
    """
    if config.early_stopping == "never" and config.length_penalty > 0:
        length = float(config.max_length)
    full = ops.all(finished.done, axis=1)
    beaten = best / length**config.length_penalty <= finished.scores[:, -1]
    # A greedy search ends with its first caption.
    stops = True if config.early_stopping is True or config.width == 1 else beaten
    done = ops.logical_and(full, stops)
    return finished._replace(open=ops.logical_and(finished.open, ops.logical_not(done)))


def _check_length(text: TextConfig, config: SearchConfig) -> None:
    longest = text.max_position_embeddings
    if len(config.prompt) + config.max_length > longest:
        raise ValueError(
            f"captions of {config.max_length} tokens after a prompt of {len(config.prompt)} are "
            f"longer than the decoder's texts, which have at most {longest}; lower max_length"
        )


def _log_sum_exp(logits: Any) -> Any:
    largest = ops.max(logits, axis=-1, keepdims=True)
    return largest + ops.log(ops.sum(ops.exp(logits - largest), axis=-1, keepdims=True))


def _select(log_probs: Any, tokens: Any, is_token: Any) -> Any:
    """Select the tokens' values from [B, T, V], giving [B, T]; 0 in the padding."""
    chosen = ops.take_along_axis(log_probs, tokens[..., None], axis=-1)[..., 0]
    return ops.where(is_token, chosen, 0.0)


def _pick(x: Any, index: Any) -> Any:
    """Take rows by index within each image: x [B, N, ...], index int [B, M], to [B, M, ...]."""
    batch, rows = ops.shape(x)[0], x.shape[1]
    flat = ops.reshape(x, (-1, *x.shape[2:]))
    return ops.take(flat, index + ops.arange(batch)[:, None] * rows, axis=0)


def _join(x: Any) -> Any:
    """Join the candidates of an image's captions: [B, K, C] to [B, K * C]."""
    return ops.reshape(x, (-1, x.shape[1] * x.shape[2]))


def _write(history: Any, step: Any, parts: list[Any]) -> Any:
    """Set one step of a history [B, K, T, F] to parts [B, K, ...] that are concatenated to F."""
    here = ops.arange(history.shape[2]) == step
    return ops.where(here[:, None], ops.concatenate(parts, axis=-1)[:, :, None], history)
