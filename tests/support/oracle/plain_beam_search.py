"""Beam search and exhaustive search in plain Python, one picture at a time."""

from dataclasses import dataclass, field

import numpy as np

from models.captioner.beam_search import BeamConfig
from models.language.vocabulary import END, PAD, START, UNKNOWN
from tests.models.oracle.numpy_decoder import Array, NumpyDecoder, NumpyState

NEVER_SAID = (PAD, START, UNKNOWN)


@dataclass
class Hypothesis:
    """A caption so far."""

    state: NumpyState
    tokens: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    told_log_probs: list[float] = field(default_factory=list)
    """At the temperature."""
    likeliest: list[list[tuple[float, int]]] = field(default_factory=list)
    """At each step every word that may be said with its log-probability at the temperature, the
    likeliest first."""

    @property
    def finished(self) -> bool:
        """Whether the caption has said its end."""
        return self.tokens[-1:] == [END]

    def rank(self, length_power: float) -> float:
        """Log-probability over length to a power."""
        return float(sum(self.log_probs) / len(self.tokens) ** length_power)


def plain_beam_search(decoder: NumpyDecoder, config: BeamConfig) -> list[Hypothesis]:
    """Find the captions that are left at the end, the one that ranks first first."""
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
    """Find the caption that ranks first among all there are."""
    everything, growing = [], [Hypothesis(decoder.start())]
    for _ in range(config.max_length):
        longer = [more for hypothesis in growing for more in _extended(decoder, hypothesis, config)]
        everything += [hypothesis for hypothesis in longer if hypothesis.finished]
        growing = [hypothesis for hypothesis in longer if not hypothesis.finished]
    return max([*everything, *growing], key=lambda found: found.rank(config.length_power))


def _says_twice(words: list[int], ngram: int) -> bool:
    said = [tuple(words[start : start + ngram]) for start in range(len(words) - ngram + 1)]
    return ngram > 0 and len(set(said)) < len(said)


def _extended(
    decoder: NumpyDecoder, hypothesis: Hypothesis, config: BeamConfig
) -> list[Hypothesis]:
    before = hypothesis.tokens[-1] if hypothesis.tokens else START
    logits, _, state = decoder.step(before, hypothesis.state)
    log_probs = _log_probs(logits)
    told = _log_probs(logits / config.temperature)
    likeliest = sorted(((p, word) for word, p in told.items()), reverse=True)
    return [
        Hypothesis(
            state,
            [*hypothesis.tokens, word],
            [*hypothesis.log_probs, log_prob],
            [*hypothesis.told_log_probs, told[word]],
            [*hypothesis.likeliest, likeliest],
        )
        for word, log_prob in log_probs.items()
        if not _says_twice([*hypothesis.tokens, word], config.blocked_ngram)
    ]


def _log_probs(logits: Array) -> dict[int, float]:
    allowed = [word for word in range(len(logits)) if word not in NEVER_SAID]
    total = np.log(np.sum(np.exp(logits[allowed])))
    return {word: float(logits[word] - total) for word in allowed}
