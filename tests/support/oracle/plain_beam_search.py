"""Beam search and exhaustive search in plain Python, one image at a time."""

from dataclasses import dataclass, field

import numpy as np

from models.captioner.beam_search import BeamConfig
from models.language import END, PAD, START, UNKNOWN
from tests.support.oracle.numpy_decoder import Array, NumpyDecoder, NumpyState

FORBIDDEN_TOKENS = (PAD, START, UNKNOWN)


@dataclass
class Hypothesis:
    """A caption so far."""

    state: NumpyState
    tokens: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    tempered_log_probs: list[float] = field(default_factory=list)
    """At the temperature."""
    most_probable: list[list[tuple[float, int]]] = field(default_factory=list)
    """At each step every allowed word with its log-probability at the temperature, most probable
    first."""

    @property
    def finished(self) -> bool:
        """Whether the caption has ended."""
        return self.tokens[-1:] == [END]

    def rank(self, length_power: float) -> float:
        """Log-probability over length to a power."""
        return float(sum(self.log_probs) / len(self.tokens) ** length_power)


def plain_beam_search(decoder: NumpyDecoder, config: BeamConfig) -> list[Hypothesis]:
    """Return the captions of the final beam, best first."""
    beam = [Hypothesis(decoder.start())]
    for _ in range(config.max_length):
        candidates = []
        for hypothesis in beam:
            candidates += (
                [hypothesis] if hypothesis.finished else _extended(decoder, hypothesis, config)
            )
        candidates.sort(key=lambda hypothesis: -sum(hypothesis.log_probs))
        beam = candidates[: config.width]
    return sorted(beam, key=lambda hypothesis: -hypothesis.rank(config.length_power))


def exhaustive_search(decoder: NumpyDecoder, config: BeamConfig) -> Hypothesis:
    """Return the best of all possible captions."""
    everything, growing = [], [Hypothesis(decoder.start())]
    for _ in range(config.max_length):
        longer = [more for hypothesis in growing for more in _extended(decoder, hypothesis, config)]
        everything += [hypothesis for hypothesis in longer if hypothesis.finished]
        growing = [hypothesis for hypothesis in longer if not hypothesis.finished]
    return max([*everything, *growing], key=lambda found: found.rank(config.length_power))


def _repeats(words: list[int], ngram: int) -> bool:
    ngrams = [tuple(words[start : start + ngram]) for start in range(len(words) - ngram + 1)]
    return ngram > 0 and len(set(ngrams)) < len(ngrams)


def _recurs(words: list[int], window: int, distinct: set[int]) -> bool:
    """Return whether the last word is a distinct one and among the words just before it."""
    *before, last = words
    return last in distinct and last in before[max(0, len(words) - window) :]


def _extended(
    decoder: NumpyDecoder, hypothesis: Hypothesis, config: BeamConfig
) -> list[Hypothesis]:
    before = hypothesis.tokens[-1] if hypothesis.tokens else START
    logits, _, state = decoder.step(before, hypothesis.state)
    log_probs = _log_probs(logits)
    tempered = _log_probs(logits / config.temperature)
    most_probable = sorted(((p, word) for word, p in tempered.items()), reverse=True)
    return [
        Hypothesis(
            state,
            [*hypothesis.tokens, word],
            [*hypothesis.log_probs, log_prob],
            [*hypothesis.tempered_log_probs, tempered[word]],
            [*hypothesis.most_probable, most_probable],
        )
        for word, log_prob in log_probs.items()
        if not _repeats([*hypothesis.tokens, word], config.blocked_ngram)
        and not _recurs([*hypothesis.tokens, word], config.blocked_window, decoder.distinct)
    ]


def _log_probs(logits: Array) -> dict[int, float]:
    allowed = [word for word in range(len(logits)) if word not in FORBIDDEN_TOKENS]
    total = np.log(np.sum(np.exp(logits[allowed])))
    return {word: float(logits[word] - total) for word in allowed}
